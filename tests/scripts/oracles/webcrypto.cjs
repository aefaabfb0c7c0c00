// SPDX-License-Identifier: Apache-2.0
// Node 18 (Debian 12) has the Web Crypto API, but not under its global name.
'use strict';
if (globalThis.crypto === undefined) {
    globalThis.crypto = require('node:crypto').webcrypto;
}
