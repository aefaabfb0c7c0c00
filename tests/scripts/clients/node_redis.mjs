// SPDX-License-Identifier: Apache-2.0
// redis (node-redis): RESP2 and RESP3, automatic pipelines, transactions, iterators, buffers.
import * as t from './common.mjs';

const { createClient, RESP_TYPES } = t.client('redis');
const connect = async (more) => {
    const r = createClient({
        socket: { host: t.host, port: t.port, reconnectStrategy: false },
        username: t.user, password: t.password, ...more,
    });
    r.on('error', () => {}); // the call that it comes in says so
    return r.connect();
};
const three = await connect({ RESP: 3 });
const two = await connect({ RESP: 2 });
const raw = (r) => r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });

const values = async (r) => {
    t.equal('PING', await r.ping(), 'PONG');
    t.equal('SET', await r.set('nr:name', t.SECRET), 'OK');
    t.equal('GET', await r.get('nr:name'), t.SECRET);
    t.equal('GET of nothing', await r.get('nr:none'), null);
    t.equal('SET of 1 MiB', await r.set('nr:big', t.MIB), 'OK');
    t.same('GET of 1 MiB', await raw(r).get('nr:big'), t.MIB);
    t.equal('a binary key', await r.set(t.BINARY, t.BINARY), 'OK');
    t.same('and its value', await raw(r).get(t.BINARY), t.BINARY);
    t.equal('STRLEN', await r.strLen('nr:big'), 1 << 20);
    t.equal('MSET', await r.mSet({ 'nr:a': '1', 'nr:b': t.SECRET }), 'OK');
    t.equal('MGET', await r.mGet(['nr:a', 'nr:none', 'nr:b']), ['1', null, t.SECRET]);
    t.equal('SET NX', await r.set('nr:a', 'x', { condition: 'NX' }), null);
    t.equal('SET EX GET', await r.set('nr:a', 'x',
        { expiration: { type: 'EX', value: 1000 }, GET: true }), '1');
    t.within('TTL', await r.ttl('nr:a'), 990, 1000);
    t.equal('EXPIRE', await r.expire('nr:a', 5000), 1);
    t.within('PTTL', await r.pTTL('nr:a'), 4990000, 5000000);
    t.equal('GETEX PERSIST', await r.getEx('nr:a', { type: 'PERSIST' }), 'x');
    t.equal('TTL of what stays', await r.ttl('nr:a'), -1);
    t.equal('GETDEL', await r.getDel('nr:a'), 'x');
    t.equal('DEL', await r.del(['nr:b', 'nr:none']), 1);
};
const hashes = async (r) => {
    await r.del('nr:h');
    t.equal('HSET', await r.hSet('nr:h', { f: t.SECRET, g: 'y', e: '' }), 3);
    t.equal('HGET', await r.hGet('nr:h', 'f'), t.SECRET);
    t.equal('HMGET', await r.hmGet('nr:h', ['f', 'none']), [t.SECRET, null]);
    t.equal('HGETALL', { ...await r.hGetAll('nr:h') }, { f: t.SECRET, g: 'y', e: '' });
    t.equal('HVALS', t.sorted(await r.hVals('nr:h')), ['', t.SECRET, 'y']);
    t.equal('HDEL', await r.hDel('nr:h', 'g'), 1);
    await r.del('nr:s');
    t.equal('SADD', await r.sAdd('nr:s', [t.SECRET, 'm']), 2);
    t.equal('SMEMBERS', t.sorted(await r.sMembers('nr:s')), ['m', t.SECRET]);
    t.equal('SMISMEMBER', await r.smIsMember('nr:s', ['m', 'n']), [1, 0]);
};
const pipelines = async (r) => {
    const numbers = [...Array(500).keys()];
    await Promise.all(numbers.map((i) => r.set(`nr:p${i}`, `${t.SECRET}-${i}`)));
    t.equal('commands of one tick', await Promise.all(numbers.map((i) => r.get(`nr:p${i}`))),
        numbers.map((i) => `${t.SECRET}-${i}`));
    t.equal('MULTI', await r.multi().set('nr:m', 'v').get('nr:m').del('nr:m').exec(),
        ['OK', 'v', 1]);
    t.equal('a pipeline', await r.multi().set('nr:m', 'v').get('nr:m').execAsPipeline(),
        ['OK', 'v']);
};
const watches = async (r) => {
    const other = r === three ? two : three;
    await r.set('nr:w', '1');
    await r.watch('nr:w');
    await other.set('nr:w', '2');
    await t.rejects('WATCH sees the change', () => r.multi().set('nr:w', '3').exec(), 'watched');
    t.equal('which stays', await r.get('nr:w'), '2');
};
const scans = async (r) => {
    const names = new Set();
    for await (const keys of r.scanIterator({ MATCH: 'nr:p*', COUNT: 50 })) {
        keys.forEach((key) => names.add(key));
    }
    t.equal('SCAN', names.size, 500);
    const many = Object.fromEntries([...Array(600).keys()].map((i) => [`field-${i}`, `value-${i}`]));
    await r.hSet('nr:many', many);
    const found = {};
    for await (const entries of r.hScanIterator('nr:many', { COUNT: 100 })) {
        entries.forEach(({ field, value }) => { found[field] = value; });
    }
    t.equal('HSCAN', Object.keys(found).filter((f) => found[f] === many[f]).length, 600);
    t.equal('KEYS', t.sorted(await r.keys('nr:p49?')),
        [...Array(10).keys()].map((i) => `nr:p49${i}`));
};
const errors = async (r) => {
    await t.rejects('the wrong type', () => r.hGet('nr:name', 'f'), 'WRONGTYPE');
    await t.rejects('no command', () => r.sendCommand(['NOSUCH']), 'unknown command');
    if (t.proxied) {
        await t.rejects('APPEND', () => r.append('nr:name', 'x'), 'ERR');
        await t.rejects('EVAL', () => r.eval('return 1'), 'ERR');
        await t.rejects('LPUSH', () => r.lPush('nr:list', 'x'), 'ERR');
    }
    t.equal('the value is as it was', await r.get('nr:name'), t.SECRET);
};
const logins = async () => {
    await t.rejects('a wrong token', () => connect({ password: `arilt_${'A'.repeat(43)}` }),
        'WRONGPASS');
    const second = await connect({ database: 1, name: 'aril-test' });
    t.equal('another database', await second.get('nr:name'), null);
    t.equal('the name of the connection', await second.clientGetName(), 'aril-test');
    second.destroy();
};

const steps = [];
for (const [r, protocol] of [[three, 'RESP3'], [two, 'RESP2']]) {
    for (const step of [values, hashes, pipelines, watches, scans, errors]) {
        const named = () => step(r);
        Object.defineProperty(named, 'name', { value: `${step.name}, ${protocol}` });
        steps.push(named);
    }
}
await t.run('redis', [...steps, logins], async () => {
    three.destroy();
    two.destroy();
});
