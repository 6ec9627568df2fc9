// SPDX-License-Identifier: Apache-2.0
// The npm package memcached (text protocol) with its defaults against a server at 127.0.0.1:
// npm_memcached.js PORT [NAME…]; NODE_PATH says where the package is.
'use strict';
const assert = require('assert');
const Memcached = require('memcached');
const { tryAll, waitUntil } = require('./claims.js');

const VALUE_BYTES_MAX = 1024 * 1024;
const [port, ...named] = process.argv.slice(2);
const server = `127.0.0.1:${port}`;
const client = new Memcached(server);

// A method of a client as a promise.
function ask(method, ...parameters) {
  return askOf(client, method, ...parameters);
}

function askOf(asked, method, ...parameters) {
  return new Promise((resolve, reject) => {
    asked[method](...parameters, (error, result) => {
      if (error) reject(error);
      else resolve(Array.isArray(result) ? [...result] : result); // it empties its own at once
    });
  });
}

const claims = {
  async get_brings_back_text_numbers_objects_and_buffers() {
    const values = {
      text: 'grüße\r\nEND', number: 42.5, object: { a: [1, null, 'x'] }, empty: '',
      buffer: Buffer.from([0, 255, 10, 13, 128]),
    };
    for (const [key, value] of Object.entries(values)) {
      assert.strictEqual(await ask('set', key, value, 0), true);
      assert.deepStrictEqual(await ask('get', key), value);
    }
    assert.strictEqual(await ask('get', 'missing'), undefined);
  },

  async a_thousand_keys_are_set_in_parallel_and_got_at_once() {
    const values = {};
    for (let i = 0; i < 1000; i++) values[`many-${i}`] = `${i} `.repeat(i % 50 + 1);
    await Promise.all(Object.entries(values).map(([key, value]) => ask('set', key, value, 0)));
    const keys = [...Object.keys(values), 'missing'];
    const got = await ask('getMulti', keys);
    assert.deepStrictEqual({ ...got }, values);
  },

  async cas_stores_once() {
    await ask('set', 'cas', 'old', 0);
    const { cas, cas: again } = await ask('gets', 'cas');
    assert.match(cas, /^\d+$/);
    assert.strictEqual(await ask('cas', 'cas', 'new', cas, 0), true);
    assert.strictEqual(await ask('cas', 'cas', 'newer', again, 0), false);
    assert.strictEqual(await ask('get', 'cas'), 'new');
  },

  async add_and_replace_look_at_what_is_there() {
    await ask('del', 'add');
    await assert.rejects(ask('replace', 'add', '0', 0), { notStored: true });
    assert.strictEqual(await ask('add', 'add', '1', 0), true);
    await assert.rejects(ask('add', 'add', '2', 0), { notStored: true });
    assert.strictEqual(await ask('replace', 'add', '3', 0), true);
    assert.strictEqual(await ask('get', 'add'), '3');
  },

  async append_and_prepend_join() {
    await ask('set', 'joined', '-', 0);
    assert.strictEqual(await ask('append', 'joined', 'right'), true);
    assert.strictEqual(await ask('prepend', 'joined', 'left'), true);
    assert.strictEqual(await ask('get', 'joined'), 'left-right');
    await assert.rejects(ask('append', 'joined-missing', 'x'), { notStored: true });
  },

  async incr_and_decr_count() {
    await ask('set', 'counter', 10, 0);
    assert.strictEqual(await ask('incr', 'counter', 32), 42);
    assert.strictEqual(await ask('decr', 'counter', 2), 40);
    assert.strictEqual(await ask('get', 'counter'), 40);
    assert.strictEqual(await ask('decr', 'counter', 100), 0);
    assert.strictEqual(await ask('incr', 'counter-missing', 1), false);
    await ask('set', 'words', 'words', 0);
    await assert.rejects(ask('incr', 'words', 1), /non-numeric value/);
  },

  async touch_and_del_say_whether_the_key_was_there() {
    await ask('set', 'there', 'x', 0);
    assert.strictEqual(await ask('touch', 'there', 100), true);
    assert.strictEqual(await ask('touch', 'not-there', 100), false);
    assert.strictEqual(await ask('del', 'there'), true);
    assert.strictEqual(await ask('del', 'there'), false);
  },

  async a_million_bytes_come_back() {
    const value = 'abcdefghij'.repeat(100000);
    assert.strictEqual(await ask('set', 'million', value, 0), true);
    assert.ok(await ask('get', 'million') === value);
  },

  async a_value_over_the_limit_is_not_stored_and_no_more() {
    const patient = new Memcached(server, { maxValue: 10 * VALUE_BYTES_MAX });
    await askOf(patient, 'set', 'over', 'old', 0);
    assert.strictEqual(await askOf(patient, 'set', 'over', 'x'.repeat(VALUE_BYTES_MAX + 1), 0),
                       false);
    assert.strictEqual(await ask('get', 'over'), undefined);
    patient.end();
  },

  async a_key_too_long_is_hashed() {
    assert.strictEqual(await ask('set', 'k'.repeat(250), 'good', 0), true);
    assert.strictEqual(await ask('set', 'k'.repeat(500), 'hashed', 0), true);
    assert.strictEqual(await ask('get', 'k'.repeat(250)), 'good');
    assert.strictEqual(await ask('get', 'k'.repeat(500)), 'hashed');
  },

  async stats_settings_items_and_slabs_are_read() {
    await ask('set', 'counted', 'x', 0);
    await ask('get', 'counted');
    const [stats] = await ask('stats');
    for (const name of ['pid', 'time', 'curr_items', 'get_hits', 'limit_maxbytes', 'threads']) {
      assert.ok(stats[name] > 0, name);
    }
    assert.strictEqual(stats.server, server);
    const [settings] = await ask('settings');
    assert.ok(settings.maxbytes > 0);
    assert.strictEqual(settings.item_size_max, VALUE_BYTES_MAX);
    const classes = (shown) => Object.keys(shown).filter((name) => /^\d+$/.test(name));
    const [items] = await ask('items');
    assert.ok(classes(items).length > 0 && items[classes(items)[0]].number > 0);
    const [slabs] = await ask('slabs');
    assert.ok(classes(slabs).length > 0 && slabs[classes(slabs)[0]].chunk_size > 0);
  },

  // memcached shows there only what it has moved to the cold end of its lists: in a moment.
  async cachedump_shows_items_of_a_class() {
    for (let i = 0; i < 100; i++) await ask('set', `dump-${i}`, 'x', 0);
    let shown = [];
    await waitUntil(async () => {
      const [items] = await ask('items');
      for (const number of Object.keys(items).filter((name) => /^\d+$/.test(name))) {
        shown = shown.concat(await ask('cachedump', server, Number(number), 10));
      }
      shown = shown.filter((item) => item !== undefined);
      return shown.length > 0;
    });
    assert.ok(shown.length > 0);
    for (const { key, b, s } of shown) assert.ok(key && b >= 0 && s >= 0, `${key} ${b} ${s}`);
  },

  async version_is_one_of_memcached() { // it takes the last three numbers of the line
    const [{ major, minor, bugfix }] = await ask('version');
    assert.ok(Number(major) >= 1, `${major}.${minor}.${bugfix}`);
  },

  async flush_leaves_nothing() {
    await ask('set', 'flushed', 'x', 0);
    await ask('flush');
    assert.strictEqual(await ask('get', 'flushed'), undefined);
    await ask('set', 'flushed', 'y', 0);
    assert.strictEqual(await ask('get', 'flushed'), 'y');
  },
};

const slow = {
  async items_expire() {
    await ask('set', 'expires', 'x', 2);
    await ask('set', 'touched-to-expire', 'x', 0);
    await ask('touch', 'touched-to-expire', 2);
    await ask('set', 'stays', 'x', 0);
    const expiring = ['expires', 'touched-to-expire', 'stays'];
    assert.strictEqual(Object.keys(await ask('getMulti', expiring)).length, 3);
    assert.ok(await waitUntil(
      async () => Object.keys(await ask('getMulti', expiring)).length === 1));
    assert.strictEqual(await ask('get', 'stays'), 'x');
  },
};

tryAll({ ...claims, ...slow }, named.length > 0 ? named : Object.keys(claims));
