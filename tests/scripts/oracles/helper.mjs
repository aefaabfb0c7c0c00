// SPDX-License-Identifier: Apache-2.0
// What the oracle scripts share: the program with our primitives, and counting.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

export const ROUNDS = 20;

/** A module of the npm oracles, which are not installed beside this file. */
export const oracle = (path) =>
    import(pathToFileURL(join(process.env.ARIL_NODE_MODULES, path)).href);

const child = spawn(process.env.ARIL_ORACLE_HELPER, { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const random = (length) => Uint8Array.from(randomBytes(length));
export const randomLength = (max) => randomBytes(2).readUInt16BE() % (max + 1);
export const flipped = (bytes, at) => {
    const copy = Uint8Array.from(bytes);
    copy[at] ^= 1;
    return copy;
};

/** Runs a command of ours; bytes in, bytes out. Throws the status on an error. */
export const ours = async (command, ...fields) => {
    const words = fields.map((f) => (typeof f === 'number' ? String(f) : hex(f) || '-'));
    child.stdin.write(`${[command, ...words].join(' ')}\n`);
    const { value, done } = await lines.next();
    if (done) {
        throw new Error(`the helper ended in ${command}`);
    }
    const [status, ...answer] = value.split(' ');
    if (status !== 'ok') {
        throw new Error(answer[0]);
    }
    return answer.map((w) => (w === '-' ? new Uint8Array(0) : Uint8Array.from(Buffer.from(w, 'hex'))));
};

let passed = 0;
let failed = 0;

/** Counts one comparison of bytes. */
export const same = (text, a, b) => {
    if (hex(a) === hex(b)) {
        passed += 1;
    } else {
        failed += 1;
        console.log(`FAILED: ${text}: ${hex(a).slice(0, 64)} is not ${hex(b).slice(0, 64)}`);
    }
};

export const isTrue = (text, condition) => {
    if (condition) {
        passed += 1;
    } else {
        failed += 1;
        console.log(`FAILED: ${text}`);
    }
};

/** Counts one call that must be refused; ours with exactly this status. */
export const refused = async (text, call, status) => {
    try {
        await call();
    } catch (e) {
        isTrue(`${text}: ${e.message} is not ${status}`, status === undefined || e.message === status);
        return;
    }
    isTrue(`${text}: was not refused`, false);
};

/** One part of a script; a part that throws is one failure. */
export const part = async (name, run) => {
    const before = passed;
    try {
        await run();
    } catch (e) {
        failed += 1;
        console.log(`FAILED: ${name}: ${e.stack}`);
    }
    console.log(`  ${name}: ${passed - before} checks`);
};

export const finish = () => {
    child.stdin.end();
    console.log(`${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
};
