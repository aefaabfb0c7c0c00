// SPDX-License-Identifier: Apache-2.0
// Clients of a Cluster, ioredis and GLIDE, through two proxies: each of them believes that the one
// it was told of has all slots. What is written through one is read through the other.
//
//   PROXY_PORT_2   the second proxy
import * as t from './common.mjs';

const { Cluster } = t.client('ioredis');
const { GlideClusterClient, ClusterBatch, ProtocolVersion, Logger } =
    t.client('@valkey/valkey-glide');
Logger.init('off');
const KEYS = [...Array(300).keys()];
const ports = [t.port, Number(process.env.PROXY_PORT_2)];
const io = ports.map((port) => new Cluster([{ host: t.host, port }], {
    redisOptions: { username: t.user, password: t.password, maxRetriesPerRequest: 1 },
}));
const glide = await Promise.all(ports.map((port, i) => GlideClusterClient.createClient({
    addresses: [{ host: t.host, port }],
    credentials: { username: t.user, password: t.password },
    protocol: i === 0 ? ProtocolVersion.RESP3 : ProtocolVersion.RESP2,
    requestTimeout: 10000,
})));

const topology = async () => {
    for (const [i, r] of io.entries()) {
        t.equal('PING', await r.ping(), 'PONG');
        t.equal('the nodes it knows', r.nodes().map((n) => n.options.port), [ports[i]]);
    }
};
const ioredis = async () => {
    const [a, b] = io;
    await Promise.all(KEYS.map((i) => a.set(`cl:io:${i}`, `${t.SECRET}-${i}`)));
    t.equal('GET through the other one', await Promise.all(KEYS.map((i) => b.get(`cl:io:${i}`))),
        KEYS.map((i) => `${t.SECRET}-${i}`));
    t.equal('MULTI', await a.multi().set('{cl:io}m', 'v').get('{cl:io}m').del('{cl:io}m').exec(),
        [[null, 'OK'], [null, 'v'], [null, 1]]);
    const p = b.pipeline();
    KEYS.forEach((i) => p.set(`{cl:io}${i}`, i).get(`{cl:io}${i}`).expire(`{cl:io}${i}`, 5000));
    t.equal('a pipeline', (await p.exec()).filter((_, i) => i % 3 === 1),
        KEYS.map((i) => [null, `${i}`]));
    t.equal('MGET of a tag', await a.mget(KEYS.map((i) => `{cl:io}${i}`)), KEYS.map(String));
    t.equal('HSET', await a.hset('cl:io:h', { f: t.SECRET }), 1);
    t.equal('HGETALL', await b.hgetall('cl:io:h'), { f: t.SECRET });
    t.equal('SET of 1 MiB', await a.set('cl:io:big', t.MIB), 'OK');
    t.same('GET of 1 MiB', await b.getBuffer('cl:io:big'), t.MIB);
};
const glides = async () => {
    const [a, b] = glide;
    await Promise.all(KEYS.map((i) => a.set(`cl:gl:${i}`, `${t.SECRET}-${i}`)));
    t.equal('MGET over slots', await b.mget(KEYS.map((i) => `cl:gl:${i}`)),
        KEYS.map((i) => `${t.SECRET}-${i}`));
    t.equal('MSET over slots', await a.mset({ 'cl:gl:a': '1', 'cl:gl:b': '2', 'cl:gl:c': '3' }),
        'OK');
    t.equal('EXISTS over slots', await b.exists(['cl:gl:a', 'cl:gl:none', 'cl:gl:c']), 2);
    t.equal('DEL over slots', await b.del(['cl:gl:a', 'cl:gl:b', 'cl:gl:c']), 3);
    t.equal('MULTI', await a.exec(new ClusterBatch(true).set('{cl:gl}m', 'v').get('{cl:gl}m')
        .del(['{cl:gl}m']), true), ['OK', 'v', 1]);
    const p = new ClusterBatch(false);
    KEYS.forEach((i) => p.set(`cl:gl:p${i}`, `${i}`).get(`cl:gl:p${i}`));
    t.equal('a pipeline over slots', (await b.exec(p, true)).filter((_, i) => i % 2 === 1),
        KEYS.map(String));
};
const scans = async () => {
    const names = new Set();
    const [node] = io[1].nodes('master');
    for await (const keys of node.scanStream({ match: 'cl:io:*', count: 100 })) {
        keys.forEach((key) => names.add(key));
    }
    t.equal('SCAN', names.size, KEYS.length + 2);
    t.check('DBSIZE', await glide[0].dbsize() >= 900);
};

await t.run('ioredis', [topology, ioredis, glides, scans], async () => {
    io.forEach((r) => r.disconnect());
    glide.forEach((r) => r.close());
});
