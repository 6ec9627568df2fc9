// SPDX-License-Identifier: Apache-2.0
// The npm package memjs (binary protocol) against a server at 127.0.0.1:
// npm_memjs.js [USER:PASSWORD@]PORT [NAME…]; NODE_PATH says where the package is.
'use strict';
const assert = require('assert');
const { Client } = require('memjs');
const { tryAll, waitUntil } = require('./claims.js');

const VALUE_BYTES_MAX = 1024 * 1024;
const [where, ...named] = process.argv.slice(2);
const [, login, port] = /^(.*@)?(\d+)$/.exec(where);
// Its half a second is short for a machine that is busy with other tests.
const options = { timeout: 5, retries: 1, logger: { log() {} } };
const client = connect(login);

function connect(as) {
  return Client.create(`${as || ''}127.0.0.1:${port}`, options);
}

async function text(key) {
  const { value } = await client.get(key);
  return value && value.toString();
}

function statistics(key) {
  return new Promise((resolve, reject) => {
    client.statsWithKey(key, (error, server, stats) => (error ? reject(error) : resolve(stats)));
  });
}

const claims = {
  async get_sees_a_set() {
    const value = Buffer.from([0, 255, 10, 13, 128]);
    assert.strictEqual(await client.set('plain', value, {}), true);
    const got = await client.get('plain');
    assert.deepStrictEqual(got.value, value);
    assert.strictEqual(got.flags.length, 4);
    assert.strictEqual((await client.get('missing')).value, null);
    await client.set('empty', '', {});
    assert.strictEqual(await text('empty'), '');
  },

  async a_thousand_keys_are_set_and_got_without_waiting_in_between() {
    const numbers = [...Array(1000).keys()];
    await Promise.all(numbers.map((i) => client.set(`many-${i}`, `${i}`, {})));
    const got = await Promise.all(numbers.map((i) => text(`many-${i}`)));
    assert.deepStrictEqual(got, numbers.map(String));
  },

  async add_and_replace_look_at_what_is_there() {
    await client.delete('add');
    assert.strictEqual(await client.replace('add', '0', {}), false);
    assert.strictEqual(await client.add('add', '1', {}), true);
    assert.strictEqual(await client.add('add', '2', {}), false);
    assert.strictEqual(await client.replace('add', '3', {}), true);
    assert.strictEqual(await text('add'), '3');
  },

  async append_joins() { // its prepend() sends an append
    await client.set('joined', 'left', {});
    assert.strictEqual(await client.append('joined', '-right'), true);
    assert.strictEqual(await text('joined'), 'left-right');
    await assert.rejects(client.append('joined-missing', 'x'));
  },

  async increment_creates_and_counts() {
    await client.delete('counter');
    assert.deepStrictEqual(await client.increment('counter', 5, { initial: 10 }),
                           { success: true, value: 10 });
    assert.strictEqual((await client.increment('counter', 32, {})).value, 42);
    assert.strictEqual((await client.decrement('counter', 2, {})).value, 40);
    assert.strictEqual((await client.decrement('counter', 100, {})).value, 0);
    await client.set('words', 'words', {});
    await assert.rejects(client.increment('words', 1, {}));
  },

  async touch_and_delete_say_whether_the_key_was_there() {
    await client.set('there', 'x', {});
    assert.strictEqual(await client.touch('there', 100), true);
    assert.strictEqual(await client.touch('not-there', 100), false);
    assert.strictEqual(await client.delete('there'), true);
    assert.strictEqual(await client.delete('there'), false);
  },

  async a_million_bytes_come_back() {
    const value = Buffer.alloc(1000000, 'abcdefghijk');
    assert.strictEqual(await client.set('million', value, {}), true);
    assert.ok((await client.get('million')).value.equals(value));
  },

  async a_value_over_the_limit_is_an_error_and_no_more() {
    await client.set('over', 'old', {});
    await assert.rejects(client.set('over', Buffer.alloc(VALUE_BYTES_MAX + 1), {}));
    assert.strictEqual((await client.get('over')).value, null);
    await client.set('over', 'new', {});
    assert.strictEqual(await text('over'), 'new');
  },

  async stats_and_settings_are_read() {
    await client.set('counted', 'x', {});
    await text('counted');
    const stats = await statistics('');
    for (const name of ['pid', 'time', 'curr_items', 'get_hits', 'limit_maxbytes', 'threads']) {
      assert.ok(Number(stats[name]) > 0, name);
    }
    assert.strictEqual(Number((await statistics('settings')).item_size_max), VALUE_BYTES_MAX);
  },

  async flush_leaves_nothing() {
    await client.set('flushed', 'x', {});
    await client.flush();
    assert.strictEqual((await client.get('flushed')).value, null);
    await client.set('flushed', 'y', {});
    assert.strictEqual(await text('flushed'), 'y');
  },

  async quit_is_answered() {
    const other = connect(login);
    await other.set('quit', 'x', {});
    const closed = new Promise((resolve) => other.servers[0]._socket.on('close', resolve));
    other.quit();
    await closed;
  },
};

const onRequest = {
  async items_expire() {
    await client.set('expires', 'x', { expires: 2 });
    await client.set('touched-to-expire', 'x', {});
    await client.touch('touched-to-expire', 2);
    await client.set('stays', 'x', {});
    assert.strictEqual(await text('expires'), 'x');
    assert.strictEqual(await text('touched-to-expire'), 'x');
    assert.ok(await waitUntil(async () => await text('expires') === null
                                          && await text('touched-to-expire') === null));
    assert.strictEqual(await text('stays'), 'x');
  },

  async a_wrong_password_is_refused() {
    await assert.rejects(connect(login.replace('@', 'x@')).set('locked', 'x', {}));
    assert.strictEqual((await client.get('locked')).value, null);
  },
};

tryAll({ ...claims, ...onRequest }, named.length > 0 ? named : Object.keys(claims));
