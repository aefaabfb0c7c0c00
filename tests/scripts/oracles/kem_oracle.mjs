// SPDX-License-Identifier: Apache-2.0
// ML-KEM and X-Wing against @noble/post-quantum.
import { finish, flipped, oracle, ours, part, random, refused, ROUNDS, same } from './helper.mjs';

const { ml_kem768, ml_kem1024 } = await oracle('@noble/post-quantum/ml-kem.js');
const { ml_kem768_x25519: xwing } = await oracle('@noble/post-quantum/hybrid.js');

for (const [name, id, kem] of [['ML-KEM-768', 0x41, ml_kem768], ['ML-KEM-1024', 0x42, ml_kem1024]]) {
    await part(name, async () => {
        for (let i = 0; i < ROUNDS; i++) {
            const seed = random(64);
            const theirs = kem.keygen(seed);
            const [publicKey] = await ours('kem-public', id, seed);
            same('public key', publicKey, theirs.publicKey);

            const [ct, secret] = await ours('kem-encaps', id, theirs.publicKey);
            same('we send, they receive', kem.decapsulate(ct, theirs.secretKey), secret);

            const sent = kem.encapsulate(publicKey);
            const [received] = await ours('kem-decaps', id, seed, sent.cipherText);
            same('they send, we receive', received, sent.sharedSecret);

            const bad = flipped(ct, (i * 53) % ct.length);
            const [rejected] = await ours('kem-decaps', id, seed, bad);
            same('implicit rejection', rejected, kem.decapsulate(bad, theirs.secretKey));
        }
        await refused('a short ciphertext', () => ours('kem-decaps', id, random(64), random(100)),
            'ARIL_E_FORMAT_LENGTH');
    });
}

await part('X-Wing', async () => {
    for (let i = 0; i < ROUNDS; i++) {
        const seed = random(32);
        const theirs = xwing.keygen(seed);
        const [publicKey] = await ours('xwing-public', seed);
        same('public key', publicKey, theirs.publicKey);

        const [ct, secret] = await ours('xwing-encaps', theirs.publicKey);
        same('we send, they receive', xwing.decapsulate(ct, theirs.secretKey), secret);

        const sent = xwing.encapsulate(publicKey);
        const [received] = await ours('xwing-decaps', seed, sent.cipherText);
        same('they send, we receive', received, sent.sharedSecret);

        const bad = flipped(ct, i % 2 === 0 ? i * 53 : 1088 + i);
        const [rejected] = await ours('xwing-decaps', seed, bad);
        same('a changed ciphertext', rejected, xwing.decapsulate(bad, theirs.secretKey));
    }
});

finish();
