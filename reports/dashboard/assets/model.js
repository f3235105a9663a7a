"use strict";
// A data set as the views ask for it. What run.js says is there at once, the numbers of single images when loaded.

class DataSet {
  constructor(place, about) {
    Object.assign(this, about);
    this.place = place;
    this.quality = this.columns.flatMap((column, index) => (column.cost ? [] : [index]));
    this.protocols = [...new Set(this.columns.map((column) => column.protocol))];
    this.methods = Bench.run.methods.flatMap((_, index) => (this.ran[index] ? [index] : []));
    this.data = null;
    this.decoded = new Map();
  }

  get images() { return this.data.images; }

  /** Float32Array over images, NaN where there is no value; null when the method has none at all. */
  values(column, method) {
    const key = column * Bench.run.methods.length + method;
    if (!this.decoded.has(key)) this.decoded.set(key, floats(this.data.values[column][method]));
    return this.decoded.get(key);
  }

  value(column, method, image) {
    const values = this.values(column, method);
    return values === null ? NaN : values[image];
  }

  /** Whether there is a picture. file: -1 for the target, else a method. */
  has(file, image) {
    const missing = this.data.missing[file + 1];
    if (missing === null) return false;
    this.absent ??= this.data.missing.map((places) => new Set(places || []));
    return !this.absent[file + 1].has(image);
  }

  stem(image) { return this.data.slugs[image] ?? this.data.images[image]; }

  path(kind, image, ...parts) {
    return `dashboard/${kind}/${this.slug}/${this.stem(image)}/${parts.join("/")}.${kind === "thumbs" ? "jpg" : "png"}`;
  }

  picture(file, image) { return this.path("images", image, file < 0 ? "target" : Bench.run.methods[file].slug); }

  thumbnail(file, image) {
    return this.thumbnails ? this.path("thumbs", image, file < 0 ? "target" : Bench.run.methods[file].slug)
      : this.picture(file, image);
  }

  /** Extra pictures of an image: [{method, label, path}], method -1 for the image's own. */
  extras(image) {
    return this.data.extras.filter((extra) => extra.images === null || extra.images.includes(image)).map((extra) => ({
      method: extra.method,
      label: extra.label,
      path: this.path("images", image, extra.method < 0 ? "_" : Bench.run.methods[extra.method].slug, extra.slug),
    }));
  }

  /** Why a method has no value in a column for an image; "" when nothing was said. */
  reason(column, method, image) {
    const lost = this.data.lost.find((group) => group.method === method
      && group.protocol === this.columns[column].protocol
      && (group.columns === null || group.columns.includes(column))
      && (group.images === null || group.images.includes(image)));
    return lost ? `${lost.status}: ${lost.reason}` : "";
  }

  /** [mean of method less other, low, high, n, whether zero is excluded], paired by image; null without common images. */
  difference(column, method, other) {
    const [first, second] = method < other ? [method, other] : [other, method];
    const found = this.data.pairs[column][(second * (second - 1)) / 2 + first];
    if (found === null || method > other) return found;
    const [mean, low, high, n, told] = found;
    return [-mean, -high, -low, n, told];
  }

  /** Images from worst to best by a column and a method; images without a value are left out. */
  ranked(column, method) {
    const values = this.values(column, method);
    if (values === null) return [];
    const sign = this.columns[column].direction === "lower" ? -1 : 1;
    const found = [];
    for (let image = 0; image < values.length; image++) if (!Number.isNaN(values[image])) found.push(image);
    return found.sort((a, b) => sign * (values[a] - values[b]) || a - b);
  }
}

function floats(text) {
  if (text === "") return null;
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  return new Float32Array(bytes.buffer); // little-endian, as every browser's machine is
}

const waiting = new Map();

Bench.receiveSet = (place, data) => { Bench.sets[place].data = data; };

/** Load a script that lies beside the page, once. */
function script(source) {
  if (!waiting.has(source)) {
    waiting.set(source, new Promise((resolve, reject) => {
      document.head.append(element("script", {
        src: source, load: resolve, error: () => reject(new Error(`${source} cannot be read: build the report again`)),
      }));
    }));
  }
  return waiting.get(source);
}

/** A data set with the numbers of its images. */
Bench.load = async (place) => {
  const set = Bench.sets[place];
  if (set.data === null) await script(`dashboard/data/set-${place}.js`);
  return set;
};
