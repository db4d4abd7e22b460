#!/bin/sh
# What the page's lengths reach on the tasks of teachable.mjs, in a terminal: both engines agree to rounding.
#
#     bench/teachable/page.sh FOLDER OUT LENGTH TASK-COUNT...
#
# FOLDER holds TASK-COUNT.zip, as tools/few-images.mjs makes them; LENGTH is quick, normal or long, as src/page/lengths.ts has it.
set -eu
folder=$1 out=$2 length=$3
shift 3
case $length in
  quick) settings="--method linear --head ridge --epochs 20 --lr 1e-3 --image-size 48" ;;
  normal | long)
    settings="--teacher vit_nano_patch4_32.cifar10 --method sequential --distill mse --lr 3e-3 --image-size 32 --crop-padding 0.125"
    if [ "$length" = normal ]; then settings="$settings --epochs 40"; else settings="$settings --epochs 100"; fi
    ;;
esac
for task in "$@"; do
  run="$out/$task-$length"
  [ -f "$run/result.json" ] && continue
  rm -rf "$run"
  # shellcheck disable=SC2086
  node dist/cli/main.js train "$folder/$task.zip" --recipe none --student vit_micro_patch4_32.cifar10 $settings \
    --threads 1 --replicas 1 --out "$run" > "$out/log.txt" 2>&1
  node -e "const r=require('$run/result.json');console.log(JSON.stringify({task:'$task',length:'$length',accuracy:r.accuracy,correct:r.correct,total:r.total,seconds:r.seconds}))"
done
