// SPDX-License-Identifier: Apache-2.0
// Tries claims one after the other and prints `ok - NAME` or `not ok - NAME: reason` for each.
'use strict';

const SECONDS_MAX = 10;

function inTime(promise) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${SECONDS_MAX} s`)), SECONDS_MAX * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// `claims` maps names to functions of nothing that return promises; `named` are those to try. Ends
// the process, with status 0 when all held.
exports.tryAll = async function tryAll(claims, named) {
  let status = 0;
  for (const name of named) {
    try {
      await inTime(claims[name]());
      console.log(`ok - ${name}`);
    } catch (error) {
      status = 1;
      console.log(`not ok - ${name}: ${String(error && error.message || error).split('\n')[0]}`);
    }
  }
  process.exit(status);
};

// Calls until it gives true, every tenth of a second, for 5 s.
exports.waitUntil = async function waitUntil(holds) {
  for (let i = 0; i < 50; i++) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
};
