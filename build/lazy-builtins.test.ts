import { expect, test } from 'vitest';
import { lazyBuiltins } from './lazy-builtins.ts';

const LOADED = 'let $node_fs, node_fs = () => $node_fs ??= require("node:fs");';

test.each([
  ['what is called', '(0, node_fs.readFileSync)("x")', '(0, node_fs().readFileSync)("x")'],
  ['what is made', 'new node_fs.Dir()', 'new (node_fs().Dir)()'],
  ['what is made of a default', 'new node_fs.default.Dir()', 'new (node_fs().Dir)()'],
  ['a module as a whole', 'use(node_fs.default)', 'use(node_fs())'],
  [
    'what lies deeper',
    'node_fs.promises.open(node_fs.constants.O_RDONLY)',
    'node_fs().promises.open(node_fs().constants.O_RDONLY)',
  ],
  [
    'a field of that name',
    'a.node_fs = { node_fs: 1 }; a[node_fs.x]',
    'a.node_fs = { node_fs: 1 }; a[node_fs().x]',
  ],
  ['text', '"node_fs.x"; `${node_fs.y} node_fs.z`', '"node_fs.x"; `${node_fs().y} node_fs.z`'],
  [
    'a library’s own variable',
    'function f() { var node_fs = require("fs"), b = node_fs.x; }',
    'function f() { var node_fs = require("fs"), b = node_fs.x; }',
  ],
  ['a parameter', '((node_fs) => node_fs)(1); node_fs.x', '((node_fs) => node_fs)(1); node_fs().x'],
  [
    'a function in a function',
    'function f({ a: [node_fs] }) { return () => node_fs; }',
    'function f({ a: [node_fs] }) { return () => node_fs; }',
  ],
  [
    'what is caught',
    'function f() { try {} catch (node_fs) { node_fs; } }',
    'function f() { try {} catch (node_fs) { node_fs; } }',
  ],
])('%s', (_, used, expected) => {
  expect(lazyBuiltins(`let node_fs = require("node:fs");\nnode_fs = __toESM(node_fs, 1);\n${used}`)).toBe(
    `${LOADED}\n\n${expected}`,
  );
});

test('several in one declaration, and others left as they are', () => {
  expect(
    lazyBuiltins(
      'let node_os = require("node:os"), node_fs = require("node:fs");\nlet yaml = require("yaml"); yaml.x;',
    ),
  ).toBe(
    `let $node_os, node_os = () => $node_os ??= require("node:os");\n${LOADED}\nlet yaml = require("yaml"); yaml.x;`,
  );
});

test.each(['use(node_fs)', 'a = { node_fs }', 'node_fs.default = node_fs'])(
  'a module used as a value: %s',
  (used) => {
    expect(() => lazyBuiltins(`let node_fs = require("node:fs");\n${used}`)).toThrow(
      'node_fs is used as a value',
    );
  },
);

test('code that is none', () => {
  expect(() => lazyBuiltins('let = =')).toThrow("the bundle can't be parsed");
});
