"use strict";
// A data set. The contents of run.js are available at once, the values of single images after loading.

class DataSet {
  constructor(index, about) {
    Object.assign(this, about);
    this.index = index;
    this.quality = this.columns.flatMap((column, i) => (column.cost ? [] : [i]));
    this.protocols = [...new Set(this.columns.map((column) => column.protocol))];
    this.methods = Bench.run.methods.flatMap((_, i) => (this.ran[i] ? [i] : []));
    this.data = null;
    this.decoded = new Map();
  }

  get images() { return this.data.images; }

  /** Float32Array over images, NaN where there is no value; null when the method has no value at all. */
  values(column, method) {
    const key = column * Bench.run.methods.length + method;
    if (!this.decoded.has(key)) this.decoded.set(key, floats(this.data.values[column][method]));
    return this.decoded.get(key);
  }

  value(column, method, image) {
    const values = this.values(column, method);
    return values === null ? NaN : values[image];
  }

  /** Whether an image file exists. file: -1 for the target, else a method. */
  has(file, image) {
    if (Bench.pictures) return Bench.pictures.has(this.file(file, image));
    const missing = this.data.missing[file + 1];
    if (missing === null) return false;
    this.absent ??= this.data.missing.map((indices) => new Set(indices || []));
    return !this.absent[file + 1].has(image);
  }

  stem(image) { return this.data.slugs[image] ?? this.data.images[image]; }

  path(kind, image, ...parts) {
    return `dashboard/${kind}/${this.slug}/${this.stem(image)}/${parts.join("/")}.${kind === "thumbs" ? "jpg" : "png"}`;
  }

  imagePath(file, image) { return Bench.pictures?.get(this.file(file, image)) ?? this.file(file, image); }

  file(file, image) { return this.path("images", image, file < 0 ? "target" : Bench.run.methods[file].slug); }

  thumbnail(file, image) {
    return this.thumbnails && !Bench.pictures ? this.path("thumbs", image, file < 0 ? "target" : Bench.run.methods[file].slug)
      : this.imagePath(file, image);
  }

  /** Further files of an image: [{method, label, path}], method -1 for those of the target. */
  extras(image) {
    if (Bench.pictures) return [];
    return this.data.extras.filter((extra) => extra.images === null || extra.images.includes(image)).map((extra) => ({
      method: extra.method,
      label: extra.label,
      path: this.path("images", image, extra.method < 0 ? "_" : Bench.run.methods[extra.method].slug, extra.slug),
    }));
  }

  /** Why a method has no value in a column for an image; "" without a reason. */
  reason(column, method, image) {
    const lost = this.data.lost.find((group) => group.method === method
      && group.protocol === this.columns[column].protocol
      && (group.columns === null || group.columns.includes(column))
      && (group.images === null || group.images.includes(image)));
    return lost ? `${lost.status}: ${lost.reason}` : "";
  }

  /** [mean of method minus other, low, high, n, whether zero is excluded], paired by image; null without common images. */
  difference(column, method, other) {
    const [first, second] = method < other ? [method, other] : [other, method];
    const pair = this.data.pairs[column][(second * (second - 1)) / 2 + first];
    if (pair === null || method > other) return pair;
    const [mean, low, high, n, excludesZero] = pair;
    return [-mean, -high, -low, n, excludesZero];
  }

  /** Images with a value from worst to best by a column and a method. */
  ranked(column, method) {
    const values = this.values(column, method);
    if (values === null) return [];
    const factor = sign(this.columns[column]);
    const ranked = [];
    for (let image = 0; image < values.length; image++) if (!Number.isNaN(values[image])) ranked.push(image);
    return ranked.sort((a, b) => factor * (values[a] - values[b]) || a - b);
  }
}

const machineOf = ({ measured: [device, precision, batch] }) => `${device}, ${precision}, batch size ${batch}`;
const timed = (set) => set.costs.filter((cost) => (cost.cells.seconds?.[0] ?? 0) > 0);

/** Kinds of machines that times of a set were measured on. */
const frontMachines = (set) => [...new Set(timed(set).map(machineOf))];

/** [{method, time, cell}] of the methods with a mean in a column and a time on a machine. */
function frontPoints(set, column, machine) {
  return timed(set).filter((cost) => machineOf(cost) === machine)
    .map((cost) => ({ method: cost.method, time: cost.cells.seconds, cell: set.cells[column][cost.method] }))
    .filter(({ cell }) => cell?.[0] != null);
}

/** The points that no faster point is as good as, from fast to slow. */
function paretoFront(points, column) {
  let best = null;
  return [...points].sort((a, b) => a.time[0] - b.time[0]).filter(({ cell }) => {
    const wins = best === null || isBetter(cell[0] - best, column);
    if (wins) [best] = cell;
    return wins;
  });
}

function floats(text) {
  if (text === "") return null;
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let index = 0; index < raw.length; index++) bytes[index] = raw.charCodeAt(index);
  return new Float32Array(bytes.buffer); // little-endian, as on all platforms of browsers
}

const waiting = new Map();

Bench.receiveSet = (index, data) => { Bench.sets[index].data = data; };

/** Load a script of the page once. */
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

/** A data set with the values of its images. */
Bench.load = async (index) => {
  const set = Bench.sets[index];
  if (set.data === null && Bench.pictures) {
    set.data = Bench.kept[index] ?? null;
    if (set.data === null) throw new Error(`The values of single images of ${set.title} are not in this file, which is small enough to send.`);
  }
  if (set.data === null) await script(`dashboard/data/set-${index}.js`);
  return set;
};
