// SPDX-License-Identifier: Apache-2.0
// @langchain/redis: RedisCache, the cache of answers of language models.
import * as t from './common.mjs';

const { createClient } = t.client('redis');
const { RedisCache } = t.client('@langchain/redis');
const { AIMessage } = t.client('@langchain/core/messages');

const MODEL = 'pomegranate-model';
const r = await createClient({
    socket: { host: t.host, port: t.port, reconnectStrategy: false },
    username: t.user, password: t.password,
}).connect();
r.on('error', (error) => t.check('connection', false, error.message));

const answers = async () => {
    const cache = new RedisCache(r);
    t.equal('a miss', await cache.lookup('what is aril?', MODEL), null);
    await cache.update('what is aril?', MODEL, [{ text: t.SECRET }, { text: 'two' }]);
    t.equal('a hit', (await cache.lookup('what is aril?', MODEL)).map((g) => g.text),
        [t.SECRET, 'two']);
    t.equal('another prompt', await cache.lookup('what is aril', MODEL), null);
    t.equal('another model', await cache.lookup('what is aril?', 'other'), null);
};
const messages = async () => {
    const cache = new RedisCache(r);
    const message = new AIMessage({ content: t.SECRET });
    await cache.update('hello', MODEL, [{ text: t.SECRET, message }]);
    const [hit] = await cache.lookup('hello', MODEL);
    t.equal('a message', [hit.text, hit.message.content], [t.SECRET, t.SECRET]);
};
const concurrent = async () => {
    const cache = new RedisCache(r);
    const numbers = [...Array(100).keys()];
    await Promise.all(numbers.map((i) =>
        cache.update(`prompt ${i}`, MODEL, [{ text: `${t.SECRET} ${i}` }])));
    const hits = await Promise.all(numbers.map((i) => cache.lookup(`prompt ${i}`, MODEL)));
    t.equal('a hundred at once', hits.map((h) => h[0].text),
        numbers.map((i) => `${t.SECRET} ${i}`));
};

await t.run('@langchain/redis', [answers, messages, concurrent], async () => r.destroy());
