// SPDX-License-Identifier: Apache-2.0
// What the scripts of Redis clients share: where the server is, and counting.
//
//   PROXY_HOST, PROXY_PORT, PROXY_USER, PROXY_PASSWORD   how to log in
//   PROXY_MODE           "proxy", or "plain" where a plain Redis stands in for arild
//   ARIL_CLIENT_MODULES  node_modules of tools/npm/clients
//
// A script prints what it did; its last line is "N passed, M failed".
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

const require = createRequire(join(process.env.ARIL_CLIENT_MODULES, 'x.js'));
export const client = (name) => require(name);
export const versionOf = (name) =>
    require(join(process.env.ARIL_CLIENT_MODULES, name, 'package.json')).version;

export const host = process.env.PROXY_HOST;
export const port = Number(process.env.PROXY_PORT);
export const user = process.env.PROXY_USER;
export const password = process.env.PROXY_PASSWORD;
export const proxied = process.env.PROXY_MODE === 'proxy';

// What must not be seen behind the proxy: the test looks for it.
export const SECRET = 'pomegranate-plaintext';
export const MIB = randomBytes(1 << 20);
export const BINARY = Buffer.concat([Buffer.from([...Array(256).keys()]), Buffer.from('\r\n$-1\r\n')]);

let passed = 0;
let failed = 0;

export const check = (text, good, detail = '') => {
    if (good) {
        passed += 1;
    } else {
        failed += 1;
        console.log(`FAILED: ${text} ${detail}`.trimEnd());
    }
};
const shown = (value) =>
    JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))?.slice(0, 200);
export const equal = (text, got, want) =>
    check(text, isDeepStrictEqual(got, want), `${shown(got)} instead of ${shown(want)}`);
/** The promise of call() is rejected with an error of the server that has this in its text. */
export const rejects = async (text, call, contains) => {
    try {
        check(text, false, `no error but ${shown(await call())}`);
    } catch (error) {
        check(text, String(error.message).includes(contains), error.message);
    }
};
export const same = (text, got, want) =>
    check(text, Buffer.isBuffer(got) && got.equals(want), 'other bytes');
export const sorted = (list) => [...list].sort();
export const within = (text, n, low, high) =>
    check(text, Number(n) >= low && Number(n) <= high, `${n} is not in ${low}..${high}`);

/** Runs all steps, one after the other; an unexpected error fails the one it came in. */
export const run = async (name, steps, end) => {
    console.log(`${name} ${versionOf(name)}`);
    for (const step of steps) {
        try {
            await step();
            console.log(`    ${step.name}`);
        } catch (error) {
            check(step.name, false, error.stack);
        }
    }
    await end();
    console.log(`${passed} passed, ${failed} failed`);
    process.exit(failed === 0 && passed > 0 ? 0 : 1);
};
