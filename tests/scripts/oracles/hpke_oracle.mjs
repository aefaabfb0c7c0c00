// SPDX-License-Identifier: Apache-2.0
// HPKE against @hpke/core with its KEM modules: base and PSK mode, two messages in a
// row and an export, both ways.
import {
    finish, flipped, oracle, ours, part, random, randomLength, refused, ROUNDS, same,
} from './helper.mjs';

const { Aes256Gcm, CipherSuite, HkdfSha256, HkdfSha384 } = await oracle('@hpke/core/esm/mod.js');
const { XWing } = await oracle('@hpke/hybridkem-x-wing/esm/mod.js');
const { MlKem768, MlKem1024 } = await oracle('@hpke/ml-kem/esm/mod.js');

const EXPORTED = 40;
const kems = [
    ['X-Wing', 0x647a, XWing, 32],
    ['ML-KEM-768', 0x41, MlKem768, 64],
    ['ML-KEM-1024', 0x42, MlKem1024, 64],
];
const kdfs = [['HKDF-SHA256', 1, HkdfSha256], ['HKDF-SHA384', 2, HkdfSha384]];

/** All that both sides agree on before a message. */
const scene = (withPsk) => ({
    info: random(randomLength(100)),
    aad: random(randomLength(50)),
    plain: [random(randomLength(500)), random(randomLength(500))],
    label: random(randomLength(40)),
    psk: withPsk ? random(32 + randomLength(32)) : new Uint8Array(0),
    pskId: withPsk ? random(1 + randomLength(20)) : new Uint8Array(0),
});

const theirPsk = (s) => (s.psk.length > 0 ? { psk: { key: s.psk, id: s.pskId } } : {});

const weSend = async (suite, ids, keys, publicKey, s) => {
    const [enc, first, second, exported] = await ours('hpke-seal', ...ids, publicKey, s.info, s.psk,
        s.pskId, s.aad, s.plain[0], s.plain[1], s.label);
    const rx = await suite.createRecipientContext({
        recipientKey: keys.privateKey, enc, info: s.info, ...theirPsk(s),
    });
    same('first message to them', new Uint8Array(await rx.open(first, s.aad)), s.plain[0]);
    same('second message to them', new Uint8Array(await rx.open(second, s.aad)), s.plain[1]);
    same('their export', new Uint8Array(await rx.export(s.label, EXPORTED)), exported);
};

const theySend = async (suite, ids, seed, keys, s) => {
    const tx = await suite.createSenderContext({
        recipientPublicKey: keys.publicKey, info: s.info, ...theirPsk(s),
    });
    const first = new Uint8Array(await tx.seal(s.plain[0], s.aad));
    const second = new Uint8Array(await tx.seal(s.plain[1], s.aad));
    const enc = new Uint8Array(tx.enc);
    const open = (change) => {
        const f = { enc, info: s.info, psk: s.psk, pskId: s.pskId, aad: s.aad, first, ...change };
        return ours('hpke-open', ...ids, seed, f.enc, f.info, f.psk, f.pskId, f.aad, f.first, second,
            s.label);
    };
    const [a, b, exported] = await open({});
    same('first message to us', a, s.plain[0]);
    same('second message to us', b, s.plain[1]);
    same('our export', exported, new Uint8Array(await tx.export(s.label, EXPORTED)));
    await refused('a changed encapsulation', () => open({ enc: flipped(enc, 3) }), 'ARIL_E_AUTH');
    await refused('a changed message', () => open({ first: flipped(first, 0) }), 'ARIL_E_AUTH');
    await refused('another info', () => open({ info: random(101) }), 'ARIL_E_AUTH');
    await refused('another PSK', () => open({ psk: random(32), pskId: random(4) }), 'ARIL_E_AUTH');
};

for (const [kemName, kemId, Kem, seedBytes] of kems) {
    for (const [kdfName, kdfId, Kdf] of kdfs) {
        const suite = new CipherSuite({ kem: new Kem(), kdf: new Kdf(), aead: new Aes256Gcm() });
        for (const withPsk of [false, true]) {
            await part(`${kemName}, ${kdfName}, ${withPsk ? 'PSK' : 'base'}`, async () => {
                for (let i = 0; i < ROUNDS; i++) {
                    const seed = random(seedBytes);
                    const [publicKey] = await ours('hpke-public', kemId, seed);
                    const keys = {
                        privateKey: await suite.kem.deserializePrivateKey(seed),
                        publicKey: await suite.kem.deserializePublicKey(publicKey),
                    };
                    await weSend(suite, [kemId, kdfId], keys, publicKey, scene(withPsk));
                    await theySend(suite, [kemId, kdfId], seed, keys, scene(withPsk));
                }
            });
        }
    }
}

finish();
