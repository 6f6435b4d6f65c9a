import { expect, test } from 'vitest';
import { LruCache } from '../../src/disk/lru.ts';

const kept = (cache: LruCache<string, number>, keys: string): string =>
  Array.from(keys)
    .filter((key) => cache.get(key) !== undefined)
    .join('');

test('what was asked for longest ago goes first once the limit is passed', () => {
  const cache = new LruCache<string, number>(10);
  cache.set('a', 1, 4);
  cache.set('b', 2, 4);
  cache.get('a');
  cache.set('c', 3, 4);
  expect(kept(cache, 'abc')).toBe('ac');
});

test('a value that is replaced or forgotten no longer counts', () => {
  const cache = new LruCache<string, number>(10);
  for (let i = 0; i < 100; i++) cache.set('a', i, 6);
  cache.set('b', 2, 4);
  expect(kept(cache, 'ab')).toBe('ab');
  cache.delete('a');
  cache.delete('a');
  cache.set('c', 3, 6);
  expect(kept(cache, 'abc')).toBe('bc');
});

test('one value over the limit stays until the next comes', () => {
  const cache = new LruCache<string, number>(10);
  cache.set('a', 1, 50);
  expect(kept(cache, 'a')).toBe('a');
  cache.set('b', 2, 1);
  expect(kept(cache, 'ab')).toBe('b');
});
