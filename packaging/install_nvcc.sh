#!/bin/sh
# install_nvcc.sh FOLDER: what pip has of nvcc and all that it needs, of one version; nvcc is then
# FOLDER/nvidia/cu13/bin/nvcc.
set -eu
python=$(command -v python3.11 || command -v python3)
"$python" -m pip install --quiet --target "$1" 'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-crt==13.0.*' \
  'nvidia-nvvm==13.0.*' 'nvidia-cuda-runtime==13.0.*'
"$1/nvidia/cu13/bin/nvcc" --version
