#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the documents name exists, and the manual page of the statuses is the one that
# its tool writes.
set -euo pipefail

status=0
"$ARIL_PYTHON" "$ARIL_SOURCE_DIR/tools/status_page.py" --check || status=1
"$ARIL_PYTHON" "$ARIL_SOURCE_DIR/tools/links.py" || status=1
exit "$status"
