#!/bin/bash
# The world celeba64 and the GPU's tests in one call on a bare machine with a GPU, for minutes and without a network.
#
#   benchmarks/perf/device.sh pack      here: wheels and assets, into .device/
#   benchmarks/perf/device.sh probe OUT there, a minute: does every training run, and how fast with which batch
#   benchmarks/perf/device.sh run OUT   there: install, train, test; results as archives of at most 16 MiB in OUT
#   benchmarks/perf/device.sh measure OUT there, two minutes: benchmarks/perf/gpu.py, then scoring.py
#   benchmarks/perf/device.sh check OUT   there, a minute: contract tests on the GPU, and a suite on the CPU and on the GPU
#   benchmarks/perf/device.sh networks OUT there: all networks but the generator, which is the bundled one, side by side
#   benchmarks/perf/device.sh front OUT   there: networks around the bundled encoders
#   benchmarks/perf/device.sh unpack F  here: the archives in folder F into the folders of weights
#
# Settings of `networks`: PASSES, BATCH, IDENTITY (images of a batch), MINUTES of each, SECONDS_OF_ALL, NETWORKS and FURTHER (names), MPS=1.
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
  # Assets that trainings and checks read; networks in half precision, as all has to travel in 64 MiB.
  "$PYTHON" - "$PACKED/cache" <<'P'
import shutil, sys
from pathlib import Path
from safetensors.torch import load_file, save_file
from datasets import assets, celeba, openpeople
celeba.load_training_photographs(64)
source, target = assets.cache_dir(), Path(sys.argv[1])
for name in ("sface", "lpips_alex"):
    path = assets.ensure(name)
    copy = target / path.relative_to(source)
    copy.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half() if v.is_floating_point() else v for k, v in load_file(path).items()}, copy)
# openpeople for the suite of `check`, CelebA's test images for the generator's card, which looks for copies.
for folder in (openpeople.build().root, celeba.build("test").root):
    shutil.copytree(folder, target / folder.relative_to(source))
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
  archive encoders-2 restyle_psp restyle_e4e lsap
  archive encoders-3 interestyle interestyle-no_region
  archive encoders-4 interestyle-no_disentanglement interestyle-no_filter
  archive others hyperstyle_w_encoder hyperstyle .
  archive front hfgi styleres feature_style sfe
}

prepare() {
  [ -z "${WHEELS-1}" ] || "$PYTHON" -m pip install --quiet --no-deps --no-index "$PACKED"/wheels/*.whl
  # Many trainings side by side: a few threads each, which do not spin while they wait.
  export INVERSION_BENCH_CACHE=$PWD/$PACKED/cache PYTHONPATH=$PWD TQDM_MININTERVAL=10 PYTHONUNBUFFERED=1
  export OMP_NUM_THREADS="${THREADS:-2}" OMP_WAIT_POLICY=passive
  if [ "${MPS:-0}" = 1 ]; then # kernels of several processes at the same time; a daemon, no setting of the card
    export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps CUDA_MPS_LOG_DIRECTORY=/tmp/mps
    mkdir -p /tmp/mps && nvidia-cuda-mps-control -d || unset CUDA_MPS_PIPE_DIRECTORY
  fi
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

# Networks around the bundled generator with PASSES each, all side by side, those around an encoder after it. FURTHER ones go on
# from their bundled weights (with budget=... in SHARED for what is left, and progressive=false for codes with deltas).
networks() {
  local out=$1 world=${SCRATCH:-/tmp}/networks name weights=methods/generators/weights shared
  local names=${NETWORKS:-${ALL#start,},interestyle-no_filter,lsap,hyperstyle_w_encoder}
  mkdir -p "$out" "$world"/{generator,directions,start}
  prepare
  cp $weights/$WORLD.{safetensors,md} "$world/generator/"
  # A step whose card is there is done; its weights may be left out of the call where nothing reads them.
  cp $weights/training/$WORLD-state.safetensors "$world/generator/" || true
  cp methods/editing/weights/directions-$WORLD.{safetensors,md} "$world/directions/" || true
  cp methods/encoders/weights/start-$WORLD.{safetensors,md} "$world/start/" || true
  shared=(passes="${PASSES:-500000}" encoders.lr="${ENCODER_LR:-1.5e-3}" encoders.batch="${BATCH:-64}")
  for name in psp e4e lsap hyperstyle_w_encoder; do # one pass of network and generator a step: twice the batch of three
    shared+=(networks.$name.batch=$((2 * ${BATCH:-64})) networks.$name.losses.identity_images=$((2 * ${IDENTITY:-16})))
  done
  for name in ${FURTHER:-}; do
    shared+=(networks.$name.start="$(ls methods/*/weights/"$name-$WORLD.safetensors")")
  done
  # Of the minutes of a world a training has half, over the rounds: two of many side by side, and a quarter.
  PARALLEL=30 train_world "$world" "$names" "$(awk "BEGIN{print 4.5 * ${MINUTES:-8}}")" "${SECONDS_OF_ALL:-560}" \
    "${shared[@]}" encoders.losses.identity_images="${IDENTITY:-16}" ${SHARED:-} 2>&1 | tee "$out/world.log"
  for name in ${names//,/ }; do
    echo "$name: $(tr '\r' '\n' < "$world/$name/train.log" | grep 'images=' | tail -1 | grep -o '\[[0-9:]*<.*')"
    grep -h "could not be recorded" "$world/$name/train.log" || true
  done
  rm -r "$world"/{generator,directions,start} # they came from here
  collect "$world" "$out"
  ls -l "$out"
}

unpack() {
  local folder=$1 scratch
  scratch=$(mktemp -d)
  for archive in "$folder"/*.tgz; do tar -C "$scratch" -xzf "$archive"; done
  # Sheets show photographs of people, or images made of them: they stay out of the repository.
  mkdir -p "$folder/sheets" && find "$scratch" -name '*.png' -exec mv {} "$folder/sheets" \;
  if [ -d "$scratch/generator" ]; then
    cp "$scratch"/generator/$WORLD{.safetensors,.md,-log.csv} methods/generators/weights/
    cp "$scratch"/generator/$WORLD-state.safetensors methods/generators/weights/training/
  fi
  local step target
  for step in start psp e4e lsap restyle_psp restyle_e4e interestyle interestyle-no_region interestyle-no_disentanglement \
    interestyle-no_filter hyperstyle_w_encoder hyperstyle hfgi styleres feature_style sfe; do
    target=methods/encoders/weights
    case $step in
      hyperstyle) target=methods/hypernetworks/weights ;;
      hfgi | styleres | feature_style | sfe) target=methods/feature_space/weights ;;
    esac
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
    --out "$out" ${MEASURE:-} 2>&1 | tee "$out/gpu.log" || true
  [ -z "${WHOLE-45}" ] || timeout "${WHOLE:-45}" "$PYTHON" -m benchmarks.perf.gpu --device "${DEVICE:-cuda}" --part whole \
    --seconds 20 --out "$out" 2>&1 | tee "$out/whole.log" || true
  [ -z "${SCORING-1}" ] || timeout "${SCORING:-60}" "$PYTHON" -m benchmarks.perf.scoring --device "${DEVICE:-cuda}" \
    --seconds "$((${SCORING:-60} - 20))" --out "$out" 2>&1 | tee "$out/scoring.log" || true
}

# A small suite from images to scores, on the CPU and with two workers on the GPU, compared; beside it the contract tests.
check() {
  local out=$1 scratch=${SCRATCH:-/tmp}/check
  mkdir -p "$out" "$scratch"
  prepare
  mkdir -p "$scratch/plotly/package_data" # the dashboard's script, which is too large to travel: an empty one
  touch "$scratch/plotly/__init__.py" "$scratch/plotly/package_data/plotly.min.js"
  export PYTHONPATH=$PYTHONPATH:$scratch
  timeout "${CHECK_SECONDS:-150}" "$PYTHON" -m pytest -q tests/contract -k "${TESTS_OF:-cuda}" -p no:cacheprovider \
    > "$out/tests.log" 2>&1 &
  small cpu cpu "${CHECK_WORKERS:-8}" &
  small "${DEVICE:-cuda}" "${DEVICE:-cuda}" 2 &
  wait
  [ "${CHECK_WORKERS:-8}" = 0 ] || "$PYTHON" -m benchmarks compare "$scratch/cpu" "$scratch/${DEVICE:-cuda}" --out "$out/compared.md" || true
  tar -C "$scratch" -czf "$out/checked.tgz" --exclude=images --exclude=inversions --exclude=plotly . || true
  tail -qn 5 "$out"/check-*.log "$out/tests.log"
}
small() { # small NAME DEVICE WORKERS: none for 0
  [ "$3" != 0 ] || return 0
  timeout "${CHECK_SECONDS:-150}" "$PYTHON" -m benchmarks run celeba64 --device "$2" --workers "$3" --out "$scratch/$1" \
    --datasets openpeople --limit "${CHECK_IMAGES:-4}" --methods sg2_w,sg2_w_plus,e4e,pti,e4e+pti --quiet $CHECKED \
    > "$out/check-$1.log" 2>&1 || echo "$1: exit status $?"
}
CHECKED="protocols.interest_region=null protocols.occlusion=null protocols.editing=null protocols.set_distances=null
  protocols.reconstruction.metrics=[mse,psnr,ms_ssim_64,lpips_alex,id_sface]"

# Networks around the bundled encoders, which stay as they are, side by side for MINUTES. FRONT: NAME:BATCH:PASSES each.
front() {
  local out=$1 world=${SCRATCH:-/tmp}/front entry name batch passes minutes=${MINUTES:-2}
  mkdir -p "$out" "$world"
  prepare
  for entry in ${FRONT:-hyperstyle:64:160000 styleres:48:68000}; do
    IFS=: read -r name batch passes <<< "$entry"
    {
      timeout --signal=INT --kill-after=5 "$(awk "BEGIN{print int(60 * $minutes + 60)}")" \
        "$PYTHON" -m benchmarks train "$name" data=celeba align=ffhq synthetic=0.5 losses.identity_images=8 lr=1.5e-3 \
        batch="$batch" budget="$passes" --minutes "$minutes" --device "${DEVICE:-cuda}" --quiet --out "$world/$name" \
        > "$world/$name.log" 2>&1 || echo "$name: exit status $?: $(tail -1 "$world/$name.log")"
      (cd "$world" && find "$name" -maxdepth 1 -type f | tar -czf "$out/$name.tgz" -T -)
      tr '\r' '\n' < "$world/$name.log" | grep "it/s" | tail -1 || true
    } &
  done
  wait
}

case "${1:-}" in
  check) check "${2:?folder of the results}" ;;
  front) front "${2:?folder of the results}" ;;
  pack) pack ;;
  probe) probe "${2:?folder of the results}" ;;
  run) run "${2:?folder of the results}" ;;
  measure) measure "${2:?folder of the results}" ;;
  networks) networks "${2:?folder of the results}" ;;
  unpack) unpack "${2:?folder of the archives}" ;;
  *) sed -n '2,15p' "$0"; exit 2 ;;
esac
