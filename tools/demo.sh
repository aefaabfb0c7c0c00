#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs "aril demo" with the llama.cpp that setup.sh fetched. Without one, the
# command says so and works on synthetic tensors.
#
#   tools/demo.sh ARIL [arguments of aril demo...]
set -euo pipefail

aril=${1:?usage: tools/demo.sh ARIL [arguments...]}
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if modules=$("$root/tools/setup.sh" where llama) &&
    library=$(compgen -G "$modules/@node-llama-cpp/*/bins/*/libllama.*so*"); then
    # The folder that holds libllama and its backends.
    set -- --llama "$(dirname "$(head -n 1 <<<"$library")")" "$@"
fi
exec "$aril" demo "$@"
