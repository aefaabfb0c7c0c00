// SPDX-License-Identifier: Apache-2.0
// ML-DSA against @noble/post-quantum.
import {
    finish, flipped, isTrue, oracle, ours, part, random, randomLength, refused, ROUNDS, same,
} from './helper.mjs';

const { ml_dsa65, ml_dsa87 } = await oracle('@noble/post-quantum/ml-dsa.js');

for (const [name, id, dsa] of [['ML-DSA-65', 65, ml_dsa65], ['ML-DSA-87', 87, ml_dsa87]]) {
    await part(name, async () => {
        for (let i = 0; i < ROUNDS; i++) {
            const seed = random(32);
            const theirs = dsa.keygen(seed);
            const [publicKey] = await ours('sign-public', id, seed);
            same('public key', publicKey, theirs.publicKey);

            const context = random(i === 0 ? 0 : i === 1 ? 255 : randomLength(254));
            const message = random(i === 0 ? 0 : randomLength(2000));
            const [sig] = await ours('sign', id, seed, context, message);
            isTrue('we sign, they verify', dsa.verify(sig, message, theirs.publicKey, { context }));
            isTrue('they refuse another context',
                !dsa.verify(sig, message, theirs.publicKey, { context: random(16) }));

            const sent = dsa.sign(message, theirs.secretKey, { context });
            await ours('verify', id, publicKey, context, message, sent);
            isTrue('they sign, we verify', true);
            await refused('another context', () =>
                ours('verify', id, publicKey, random(16), message, sent), 'ARIL_E_AUTH');
            await refused('another message', () =>
                ours('verify', id, publicKey, context, random(33), sent), 'ARIL_E_AUTH');
            await refused('a changed signature', () =>
                ours('verify', id, publicKey, context, message, flipped(sent, i * 101)),
            'ARIL_E_AUTH');
        }
    });
}

finish();
