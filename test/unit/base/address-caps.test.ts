// Caps per address: who holds too much is refused, what is given back is free again, the table never outgrows what is held.
import assert from 'node:assert/strict';
import test from 'node:test';
import { AddressCaps } from '../../../server/base/address-caps.ts';
import { hostOf, ipAddressBytes } from '../../../server/base/ip-address.ts';

test('an address at its cap is refused, others are not, and giving back makes room', () => {
  const caps = new AddressCaps({ perAddressMaxCount: 2, totalMaxCount: 10 });
  assert.equal(caps.take('10.0.0.1'), undefined);
  assert.equal(caps.take('10.0.0.1'), undefined);
  assert.equal(caps.take('10.0.0.1'), 'address');
  assert.equal(caps.take('10.0.0.2'), undefined);
  caps.release('10.0.0.1');
  assert.equal(caps.take('10.0.0.1'), undefined);
  assert.equal(caps.totalCount, 3);
});

test('all together are capped, and the table holds only those who hold something', () => {
  const caps = new AddressCaps({ perAddressMaxCount: 2, totalMaxCount: 3 });
  for (let index = 0; index < 1_000; index += 1) {
    caps.take(`10.0.0.${index}`);
  }
  assert.equal(caps.take('10.9.9.9'), 'total');
  assert.equal(caps.addressCount, 3);
  for (let index = 0; index < 3; index += 1) {
    caps.release(`10.0.0.${index}`);
  }
  assert.equal(caps.addressCount, 0);
  assert.equal(caps.totalCount, 0);
});

test('giving back what was never taken is the caller’s mistake', () => {
  assert.throws(() => new AddressCaps({ perAddressMaxCount: 1, totalMaxCount: 1 }).release('10.0.0.1'), TypeError);
});

test('an IPv6 host cannot multiply itself within its /64', () => {
  assert.equal(hostOf('2001:db8:0:1::1'), hostOf('2001:db8:0:1:ffff:ffff:ffff:ffff'));
  assert.equal(hostOf('2001:0db8::1'), hostOf('2001:db8:0:0::2'));
  assert.notEqual(hostOf('2001:db8:0:1::1'), hostOf('2001:db8:0:2::1'));
  assert.equal(hostOf('::ffff:10.0.0.1'), '10.0.0.1');
  assert.equal(hostOf('fe80::1%eth0'), hostOf('fe80::2'));
  assert.equal(hostOf('::ffff:a00:1'), '10.0.0.1');
  for (const odd of ['', ':', 'a:b', '1:2:3:4:5:6:7:8:9:10', 'unix']) {
    assert.equal(hostOf(odd), odd);
  }
});

test('addresses become the bytes they stand for', () => {
  assert.equal(ipAddressBytes('127.0.0.1')?.toString('hex'), '7f000001');
  assert.equal(ipAddressBytes('::1')?.toString('hex'), `${'0'.repeat(31)}1`);
  assert.equal(ipAddressBytes('::')?.toString('hex'), '0'.repeat(32));
  assert.equal(ipAddressBytes('2001:DB8::a:1')?.toString('hex'), '20010db80000000000000000000a0001');
  assert.equal(ipAddressBytes('::ffff:1.2.3.4')?.toString('hex'), '00000000000000000000ffff01020304');
  assert.equal(ipAddressBytes('localhost'), undefined);
});
