#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The built libraries export what tools/exports.txt lists, and nothing else.
set -euo pipefail

if [[ -n ${ARIL_SANITIZE:-} ]]; then
    echo "sanitizer builds have no libaril.so"
    exit 77
fi
exec "$ARIL_SOURCE_DIR/tools/check_exports.sh" "$ARIL_BUILD_DIR"
