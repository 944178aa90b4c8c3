/** `lab.yaml`: defaults, placeholders, and faults that name their place. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { parseLabConfig, sourceOf } from '../../latency/run/lab-config.ts';
import { fillIn } from '../../latency/run/placeholders.ts';

const SMALL = `
targets:
  - { name: a, push: 'rtmp://h/live/{name}', play: { kind: whep, url: 'http://h/{name}' } }
scenarios:
  - { name: clean }
`;

test('a small lab.yaml gets all defaults', () => {
  const lab = parseLabConfig(SMALL);
  assert.equal(lab.repeats, 3);
  assert.equal(lab.source.preset, 'zerolatency');
  assert.equal(lab.source.widthPx, 640);
  assert.deepEqual(lab.servers, {});
});

test('a scenario changes only what it names of the source', () => {
  const lab = parseLabConfig(SMALL.replace('{ name: clean }', '{ name: clean, source: { heightPx: 720 } }'));
  const source = sourceOf(lab, lab.scenarios[0]!);
  assert.equal(source.heightPx, 720);
  assert.equal(source.widthPx, 640);
});

test('all faults are listed at once, each by its key path, unknown keys among them', () => {
  const faulty = `
repeat: 3
servers:
  x: { comand: [a] }
  y: { command: [a], redy: '127.0.0.1:1' }
targets:
  - { name: a, server: z, push: ftp://h, play: { kind: dash, url: http://h } }
scenarios:
  - { name: s, link: { down: { rateBps: -1 } } }
  - { name: s }
`;
  assert.throws(
    () => parseLabConfig(faulty),
    (error: Error) => {
      for (const place of [
        'repeat',
        'servers.x',
        'servers.y',
        'redy',
        'targets.0.push',
        'targets.0.play.kind',
        'scenarios.0.link.down.rateBps',
      ]) {
        assert.match(error.message, new RegExp(place.replaceAll('.', String.raw`\.`)));
      }
      return true;
    },
  );
});

test('two scenarios of one name, and a server that is not there, are refused', () => {
  const twins = SMALL.replace('{ name: clean }', '{ name: s }\n  - { name: s }').replace('push', 'server: z, push');
  assert.throws(() => parseLabConfig(twins), /scenarios\.1\.name: "s" is there twice/);
  assert.throws(() => parseLabConfig(twins), /targets\.0\.server: no server of this name; known: none/);
});

for (const name of ['lab', 'compare']) {
  test(`examples/${name}.yaml is valid`, () => {
    const file = new URL(`../../latency/examples/${name}.yaml`, import.meta.url);
    assert.ok(parseLabConfig(readFileSync(file, 'utf8')).targets.length > 0);
  });
}

test('known placeholders are filled in, other braces stay', () => {
  assert.equal(fillIn('{name}/${name}/{other}/{ "a": 1 }', { name: 'n' }), 'n/n/{other}/{ "a": 1 }');
});
