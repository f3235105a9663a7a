#!/bin/bash
# The world celeba64 and the GPU's tests in one call on a bare machine with a GPU, for minutes and without a network.
#
#   benchmarks/perf/device.sh pack      here: wheels and assets, into .device/
#   benchmarks/perf/device.sh probe OUT there, a minute: does every training run, and how fast with which batch
#   benchmarks/perf/device.sh run OUT   there: install, train, test; results as archives of at most 16 MiB in OUT
#   benchmarks/perf/device.sh measure OUT there, two minutes: benchmarks/perf/gpu.py
#   benchmarks/perf/device.sh unpack F  here: the archives in folder F into the folders of weights
#
# Settings of `run`: DEVICE=cuda, MINUTES=2.8 of the generator, PASSES of each other network, DEADLINE=560 seconds for
# all, BATCH, GENERATOR_BATCH, LR, ENCODER_LR, VALIDATE (steps), PARALLEL, THREADS, TESTS=1, SETTINGS. Edit directions need more assets and no GPU: train them here.
set -euo pipefail
cd "$(dirname "$0")/../.."
PACKED=.device
WORLD=celeba64
PYTHON=${PYTHON:-python3}

pack() {
  rm -rf "$PACKED" && mkdir -p "$PACKED/wheels" "$PACKED/cache"
  echo '*' > "$PACKED/.gitignore" # it holds photographs of CelebA: no commit may take them, whatever its own .gitignore says
  "$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$PACKED/wheels" \
    "omegaconf>=2.3" "antlr4-python3-runtime==4.9.3" lpips "facenet-pytorch>=2.5.3" platformdirs
  # Assets that trainings read; SFace in half precision, as all has to travel in 64 MiB.
  "$PYTHON" - "$PACKED/cache" <<'P'
import shutil, sys
from pathlib import Path
from safetensors.torch import load_file, save_file
from datasets import assets, celeba
celeba.load_training_photographs(64)
source, target = assets.cache_dir(), Path(sys.argv[1])
for name in ("sface", "lpips_alex"):
    path = assets.ensure(name)
    copy = target / path.relative_to(source)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if name == "sface":
        save_file({k: v.half() if v.is_floating_point() else v for k, v in load_file(path).items()}, copy)
    else:
        shutil.copy(path, copy)
test = celeba.build("test").root  # for the generator's card, which looks for copies
shutil.copytree(test, target / test.relative_to(source))
for path in (source / "datasets").glob(f"celeba-train-64-{assets.sha256(celeba.INDEX)[:12]}.safetensors"):
    shutil.copy(path, target / "datasets")
P
  echo "Leave out of the call what it does not need, for example: rm -r docs/results methods/encoders/weights/*"
  du -sh "$PACKED"
}

# Results of what is done so far, in archives of at most 16 MiB.
collect() {
  local world=$1 out=$2 part
  archive() { # archive NAME FOLDER...
    local name=$1 files=()
    shift
    for part in "$@"; do
      [ -d "$world/$part" ] && while IFS= read -r file; do files+=("$file"); done < <(
        cd "$world" && find "$part" -maxdepth 1 -type f ! -name '*.ckpt'
      )
    done
    [ ${#files[@]} -eq 0 ] || tar -C "$world" -czf "$out/$name.tgz" "${files[@]}"
  }
  archive generator generator
  archive encoders-1 start psp e4e
  archive encoders-2 restyle_psp restyle_e4e interestyle
  archive encoders-3 interestyle-no_region interestyle-no_disentanglement interestyle-no_filter
  archive others hyperstyle_w_encoder hyperstyle .
}

prepare() {
  [ -z "${WHEELS-1}" ] || "$PYTHON" -m pip install --quiet --no-deps --no-index "$PACKED"/wheels/*.whl
  # Many trainings side by side: a few threads each, which do not spin while they wait.
  export INVERSION_BENCH_CACHE=$PWD/$PACKED/cache PYTHONPATH=$PWD TQDM_MININTERVAL=10 PYTHONUNBUFFERED=1
  export OMP_NUM_THREADS="${THREADS:-2}" OMP_WAIT_POLICY=passive
  "$PYTHON" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA")'
}

# train_world FOLDER STEPS MINUTES SECONDS SETTINGS...: some steps of the world, ended after so many seconds at the latest;
# a failure is said, and what is done stays.
train_world() {
  local folder=$1 steps=$2 minutes=$3 seconds=$4
  shift 4
  timeout --signal=INT --kill-after=5 "$seconds" \
    "$PYTHON" -m benchmarks train world "$WORLD" data=celeba steps="[$steps]" minutes="$minutes" parallel="${PARALLEL:-10}" \
    start=methods/generators/weights/training/celeba64-state.safetensors generator.detection_images=0 \
    generator.ema_images=20000 encoders.synthetic=0.5 encoders.losses.identity_images=8 encoders.batch="${BATCH:-64}" \
    "$@" ${SETTINGS:-} --device "${DEVICE:-cuda}" --out "$folder" || echo "not complete: exit status $?"
}

ALL=start,psp,e4e,restyle_psp,restyle_e4e,interestyle,interestyle-no_region,interestyle-no_disentanglement
ENCODERS=${ENCODERS:-$ALL,interestyle-no_filter,hyperstyle_w_encoder,hyperstyle}

# A minute: whether every training runs to its card on this machine, and how fast they are.
probe() {
  local out=$1
  mkdir -p "$out"
  prepare
  train_world "${SCRATCH:-/tmp}/tiny" "generator,$ENCODERS" 0 "${GRACE:-90}" images=64512 passes=512 generator.batch=32 \
    generator.frechet_images=64 > "$out/tiny.log" 2>&1 &
  local tiny=$!
  timeout "${PROBE_SECONDS:-60}" "$PYTHON" -m benchmarks.perf.trainings --device "${DEVICE:-cuda}" --out "$out/trainings.jsonl" \
    ${PROBE:-} || echo "stopped: $?"
  wait $tiny
  grep -hE "done in|failed|error|complete" "$out/tiny.log" || true
}

run() {
  local out=$1 world=${SCRATCH:-/tmp}/world
  mkdir -p "$out"
  prepare
  if [ "${TESTS:-1}" = 1 ]; then
    timeout 200 "$PYTHON" -m pytest -q -x tests/contract -k cuda -p no:cacheprovider > "$out/tests.log" 2>&1 &
  fi
  # One pass of network and generator a step has twice the batch of a network that refines three times.
  local shared=(images="${IMAGES:-5000000}" passes="${PASSES:-160000}" generator.batch="${GENERATOR_BATCH:-64}"
    generator.lr="${LR:-1.5e-3}" generator.warmup_images=20000 generator.frechet_images="${FRECHET:-2000}"
    generator.validate_every="${VALIDATE:-2000}" encoders.lr="${ENCODER_LR:-1.5e-3}")
  for name in start psp e4e hyperstyle_w_encoder hyperstyle; do shared+=("networks.$name.batch=$((2 * ${BATCH:-64}))"); done
  shared+=(networks.hyperstyle.budget="${HYPERSTYLE_PASSES:-60000}" ${SHARED:-})
  local minutes=${MINUTES:-2.8} deadline=${DEADLINE:-560}
  OMP_NUM_THREADS=8 train_world "$world" generator "$(awk "BEGIN{print 2 * $minutes}")" \
    "$(awk "BEGIN{print int(60 * $minutes + 100)}")" "${shared[@]}" 2>&1 | tee "$out/world.log"
  collect "$world" "$out"
  tail -c 300 "$world/generator/train.log" || true
  train_world "$world" "$ENCODERS" "${OTHERS:-12}" $((deadline - SECONDS - 12)) "${shared[@]}" 2>&1 | tee -a "$out/world.log"
  collect "$world" "$out"
  [ ! -f "$out/tests.log" ] || tail -3 "$out/tests.log"
  ls -l "$out"
}

unpack() {
  local folder=$1 scratch
  scratch=$(mktemp -d)
  for archive in "$folder"/*.tgz; do tar -C "$scratch" -xzf "$archive"; done
  # Sheets show photographs of people, or images made of them: they stay out of the repository.
  mkdir -p "$folder/sheets" && find "$scratch" -name '*.png' -exec mv {} "$folder/sheets" \;
  cp "$scratch"/generator/$WORLD{.safetensors,.md,-log.csv} methods/generators/weights/
  cp "$scratch"/generator/$WORLD-state.safetensors methods/generators/weights/training/
  local step target
  for step in start psp e4e restyle_psp restyle_e4e interestyle interestyle-no_region interestyle-no_disentanglement \
    interestyle-no_filter hyperstyle_w_encoder hyperstyle; do
    target=methods/encoders/weights
    [ "$step" != hyperstyle ] || target=methods/hypernetworks/weights
    if [ -e "$scratch/$step/$step-$WORLD.md" ]; then # a card is what a finished training writes last
      mkdir -p "$target" && cp "$scratch/$step/$step-$WORLD"* "$target"
    else
      echo "not there: $step"
    fi
  done
  echo "unpacked; sheets to look at: $folder/sheets"
}

# What a GPU gives: same numbers as the CPU, steps at 1024 px with each lever, memory.
measure() {
  local out=$1
  mkdir -p "$out"
  THREADS=8 prepare
  timeout "${MEASURE_SECONDS:-150}" "$PYTHON" -m benchmarks.perf.gpu --device "${DEVICE:-cuda}" --seconds "${SECONDS_OF_GPU:-100}" \
    --out "$out" ${MEASURE:-} 2>&1 | tee "$out/gpu.log"
}

case "${1:-}" in
  pack) pack ;;
  probe) probe "${2:?folder of the results}" ;;
  run) run "${2:?folder of the results}" ;;
  measure) measure "${2:?folder of the results}" ;;
  unpack) unpack "${2:?folder of the archives}" ;;
  *) sed -n '2,11p' "$0"; exit 2 ;;
esac
