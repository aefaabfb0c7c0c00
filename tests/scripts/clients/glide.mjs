// SPDX-License-Identifier: Apache-2.0
// @valkey/valkey-glide: RESP2 and RESP3, batches, transactions, SCAN, bytes.
import * as t from './common.mjs';

const { GlideClient, Batch, Decoder, ProtocolVersion, TimeUnit, Logger } =
    t.client('@valkey/valkey-glide');
Logger.init('off');
const connect = (more) => GlideClient.createClient({
    addresses: [{ host: t.host, port: t.port }],
    credentials: { username: t.user, password: t.password },
    requestTimeout: 10000, ...more,
});
const three = await connect({ protocol: ProtocolVersion.RESP3 });
const two = await connect({ protocol: ProtocolVersion.RESP2 });
const bytes = { decoder: Decoder.Bytes };

const values = async (r) => {
    t.equal('PING', await r.ping(), 'PONG');
    t.equal('SET', await r.set('gl:name', t.SECRET), 'OK');
    t.equal('GET', await r.get('gl:name'), t.SECRET);
    t.equal('GET of nothing', await r.get('gl:none'), null);
    t.equal('SET of 1 MiB', await r.set('gl:big', t.MIB), 'OK');
    t.same('GET of 1 MiB', await r.get('gl:big', bytes), t.MIB);
    t.equal('a binary key', await r.set(t.BINARY, t.BINARY), 'OK');
    t.same('and its value', await r.get(t.BINARY, bytes), t.BINARY);
    t.equal('STRLEN', await r.strlen('gl:big'), 1 << 20);
    t.equal('MSET', await r.mset({ 'gl:a': '1', 'gl:b': t.SECRET }), 'OK');
    t.equal('MGET', await r.mget(['gl:a', 'gl:none', 'gl:b']), ['1', null, t.SECRET]);
    t.equal('SET NX', await r.set('gl:a', 'x',
        { conditionalSet: 'onlyIfDoesNotExist' }), null);
    t.equal('SET EX GET', await r.set('gl:a', 'x',
        { expiry: { type: TimeUnit.Seconds, count: 1000 }, returnOldValue: true }), '1');
    t.within('TTL', await r.ttl('gl:a'), 990, 1000);
    t.equal('EXPIRE', await r.expire('gl:a', 5000), true);
    t.within('PTTL', await r.pttl('gl:a'), 4990000, 5000000);
    t.equal('PERSIST', await r.persist('gl:a'), true);
    t.equal('GETDEL', await r.getdel('gl:a'), 'x');
    t.equal('DEL', await r.del(['gl:b', 'gl:none']), 1);
};
const hashes = async (r) => {
    await r.del(['gl:h', 'gl:s']);
    t.equal('HSET', await r.hset('gl:h', { f: t.SECRET, g: 'y' }), 2);
    t.equal('HGET', await r.hget('gl:h', 'f'), t.SECRET);
    t.equal('HMGET', await r.hmget('gl:h', ['f', 'none']), [t.SECRET, null]);
    const all = await r.hgetall('gl:h');
    t.equal('HGETALL', t.sorted(all.map(({ field, value }) => `${field}=${value}`)),
        [`f=${t.SECRET}`, 'g=y']);
    t.equal('HDEL', await r.hdel('gl:h', ['g']), 1);
    t.equal('SADD', await r.sadd('gl:s', [t.SECRET, 'm']), 2);
    t.equal('SMEMBERS', t.sorted(await r.smembers('gl:s')), ['m', t.SECRET]);
    t.equal('SISMEMBER', await r.sismember('gl:s', 'm'), true);
};
const batches = async (r) => {
    const p = new Batch(false);
    for (let i = 0; i < 500; i += 1) {
        p.set(`gl:p${i}`, `${t.SECRET}-${i}`).get(`gl:p${i}`);
    }
    const got = await r.exec(p, true);
    t.equal('a pipeline', got.filter((_, i) => i % 2 === 1),
        [...Array(500).keys()].map((i) => `${t.SECRET}-${i}`));
    t.equal('MULTI', await r.exec(new Batch(true).set('gl:m', 'v').get('gl:m').del(['gl:m']), true),
        ['OK', 'v', 1]);
};
const watches = async (r) => {
    const other = r === three ? two : three;
    await r.set('gl:w', '1');
    await r.watch(['gl:w']);
    await other.set('gl:w', '2');
    t.equal('WATCH sees the change', await r.exec(new Batch(true).set('gl:w', '3'), true), null);
    t.equal('which stays', await r.get('gl:w'), '2');
};
const scans = async (r) => {
    const names = new Set();
    let cursor = '0';
    do {
        const [next, keys] = await r.scan(cursor, { match: 'gl:p*', count: 50 });
        keys.forEach((key) => names.add(key));
        cursor = String(next);
    } while (cursor !== '0');
    t.equal('SCAN', names.size, 500);
};
const errors = async (r) => {
    // GLIDE gives "WRONGTYPE" its own words.
    await t.rejects('the wrong type', () => r.hget('gl:name', 'f'), 'wrong kind of value');
    await t.rejects('no command', () => r.customCommand(['NOSUCH']), 'unknown command');
    if (t.proxied) {
        await t.rejects('APPEND', () => r.append('gl:name', 'x'), '');
    }
    t.equal('the value is as it was', await r.get('gl:name'), t.SECRET);
};
const logins = async () => {
    await t.rejects('a wrong token', () => connect({
        credentials: { username: t.user, password: `arilt_${'A'.repeat(43)}` },
        connectionBackoff: { numberOfRetries: 1, factor: 1, exponentBase: 1 },
        advancedConfiguration: { connectionTimeout: 5000 },
    }), '');
    const second = await connect({ databaseId: 1, clientName: 'aril-test' });
    t.equal('another database', await second.get('gl:name'), null);
    t.equal('the name of the connection', await second.clientGetName(), 'aril-test');
    second.close();
};

const steps = [];
for (const [r, protocol] of [[three, 'RESP3'], [two, 'RESP2']]) {
    for (const step of [values, hashes, batches, watches, scans, errors]) {
        const named = () => step(r);
        Object.defineProperty(named, 'name', { value: `${step.name}, ${protocol}` });
        steps.push(named);
    }
}
await t.run('@valkey/valkey-glide', [...steps, logins], async () => {
    three.close();
    two.close();
});
