// SPDX-License-Identifier: Apache-2.0
// ioredis: RESP2 and RESP3, pipelines, transactions, streams of SCAN, buffers.
import * as t from './common.mjs';

const { Redis } = t.client('ioredis');
const connect = (more) => new Redis({
    host: t.host, port: t.port, username: t.user, password: t.password,
    maxRetriesPerRequest: 1, ...more,
});
const three = connect({ protocol: 3 });
const two = connect({ protocol: 2 });
for (const r of [three, two]) {
    r.on('error', (error) => t.check('connection', false, error.message));
}

const values = async (r) => {
    t.equal('PING', await r.ping(), 'PONG');
    t.equal('SET', await r.set('io:name', t.SECRET), 'OK');
    t.equal('GET', await r.get('io:name'), t.SECRET);
    t.equal('GET of nothing', await r.get('io:none'), null);
    t.equal('SET of 1 MiB', await r.set('io:big', t.MIB), 'OK');
    t.same('GET of 1 MiB', await r.getBuffer('io:big'), t.MIB);
    t.equal('a binary key', await r.set(t.BINARY, t.BINARY), 'OK');
    t.same('and its value', await r.getBuffer(t.BINARY), t.BINARY);
    t.equal('STRLEN', await r.strlen('io:big'), 1 << 20);
    t.equal('MSET', await r.mset({ 'io:a': '1', 'io:b': t.SECRET }), 'OK');
    t.equal('MGET', await r.mget('io:a', 'io:none', 'io:b'), ['1', null, t.SECRET]);
    t.equal('SET NX', await r.set('io:a', 'x', 'NX'), null);
    t.equal('SET EX GET', await r.set('io:a', 'x', 'EX', 1000, 'GET'), '1');
    t.within('TTL', await r.ttl('io:a'), 990, 1000);
    t.equal('EXPIRE', await r.expire('io:a', 5000), 1);
    t.within('PTTL', await r.pttl('io:a'), 4990000, 5000000);
    t.equal('PERSIST', await r.persist('io:a'), 1);
    t.equal('the value is kept', await r.get('io:a'), 'x');
    t.equal('GETDEL', await r.getdel('io:a'), 'x');
    t.equal('DEL', await r.del('io:b', 'io:none'), 1);
};
const hashes = async (r) => {
    await r.del('io:h');
    t.equal('HSET', await r.hset('io:h', { f: t.SECRET, g: 'y', e: '' }), 3);
    t.equal('HGET', await r.hget('io:h', 'f'), t.SECRET);
    t.equal('HMGET', await r.hmget('io:h', 'f', 'none'), [t.SECRET, null]);
    t.equal('HGETALL', await r.hgetall('io:h'), { f: t.SECRET, g: 'y', e: '' });
    t.equal('HKEYS', t.sorted(await r.hkeys('io:h')), ['e', 'f', 'g']);
    t.equal('HDEL', await r.hdel('io:h', 'g'), 1);
    t.equal('HEXISTS', await r.hexists('io:h', 'g'), 0);
    await r.del('io:s');
    t.equal('SADD', await r.sadd('io:s', t.SECRET, 'm'), 2);
    t.equal('SMEMBERS', t.sorted(await r.smembers('io:s')), ['m', t.SECRET]);
    t.equal('SISMEMBER', await r.sismember('io:s', 'm'), 1);
};
const pipelines = async (r) => {
    const p = r.pipeline();
    for (let i = 0; i < 500; i += 1) {
        p.set(`io:p${i}`, `${t.SECRET}-${i}`, 'EX', 3600).get(`io:p${i}`);
    }
    const got = await p.exec();
    t.equal('pipeline', got.filter((_, i) => i % 2 === 1),
        [...Array(500).keys()].map((i) => [null, `${t.SECRET}-${i}`]));
    t.equal('MULTI', await r.multi().set('io:m', 'v').get('io:m').hgetall('io:none')
        .del('io:m').exec(), [[null, 'OK'], [null, 'v'], [null, {}], [null, 1]]);
};
const watches = async (r) => {
    const other = r === three ? two : three;
    await r.set('io:w', '1');
    await r.watch('io:w');
    await other.set('io:w', '2');
    t.equal('WATCH sees the change', await r.multi().set('io:w', '3').exec(), null);
    t.equal('which stays', await r.get('io:w'), '2');
};
const scans = async (r) => {
    const names = new Set();
    for await (const keys of r.scanStream({ match: 'io:p*', count: 50 })) {
        keys.forEach((key) => names.add(key));
    }
    t.equal('SCAN', names.size, 500);
    t.check('SCAN names', names.has('io:p0') && names.has('io:p499'));
    const many = Object.fromEntries([...Array(600).keys()].map((i) => [`field-${i}`, `value-${i}`]));
    await r.hset('io:many', many);
    const found = {};
    for await (const list of r.hscanStream('io:many', { count: 100 })) {
        for (let i = 0; i < list.length; i += 2) {
            found[list[i]] = list[i + 1];
        }
    }
    t.equal('HSCAN', found, { ...found, ...many });
    t.equal('HSCAN, how many', Object.keys(found).length, 600);
};
const errors = async (r) => {
    await t.rejects('the wrong type', () => r.hget('io:name', 'f'), 'WRONGTYPE');
    await t.rejects('no number', () => r.set('io:name', 'v', 'EX', 'soon'), 'integer');
    await t.rejects('no command', () => r.call('NOSUCH'), 'unknown command');
    if (t.proxied) {
        await t.rejects('APPEND', () => r.append('io:name', 'x'), 'ERR');
        await t.rejects('EVAL', () => r.eval('return 1', 0), 'ERR');
    }
    t.equal('the value is as it was', await r.get('io:name'), t.SECRET);
};
const logins = async () => {
    const wrong = connect({ password: `arilt_${'A'.repeat(43)}`, lazyConnect: true,
        retryStrategy: () => null });
    // What the server said comes as an event; the command is told that there is no connection.
    const said = [];
    wrong.on('error', (error) => said.push(error.message));
    await t.rejects('a wrong token', () => wrong.ping(), '');
    t.check('and why', said.some((text) => text.includes('WRONGPASS')), said.join());
    wrong.disconnect();
    const second = connect({ db: 1, keyPrefix: 'io:prefix:' });
    t.equal('another database', await second.get('name'), null);
    t.equal('with a prefix', await second.set('name', t.SECRET), 'OK');
    t.equal('and back', await second.get('name'), t.SECRET);
    second.disconnect();
};

const steps = [logins];
for (const [r, protocol] of [[three, 'RESP3'], [two, 'RESP2']]) {
    for (const step of [values, hashes, pipelines, watches, scans, errors]) {
        const named = () => step(r);
        Object.defineProperty(named, 'name', { value: `${step.name}, ${protocol}` });
        steps.push(named);
    }
}
await t.run('ioredis', steps, async () => {
    three.disconnect();
    two.disconnect();
});
