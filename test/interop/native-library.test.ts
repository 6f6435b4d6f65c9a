import { expect, test } from 'vitest';
import { LIBDEFLATE, loadedBuild, loadNativeLibrary } from '../../src/host/native-library.ts';
import { openEngine } from '../../src/pack/engine.ts';

test('the build of a library that tells no version is told by the file that is loaded', async () => {
  await loadNativeLibrary(LIBDEFLATE);
  expect(loadedBuild('libdeflate 0', LIBDEFLATE)).toMatch(/^libdeflate 0 \(sha256 [0-9a-f]{12}\)$/);
  expect(loadedBuild('none', ['libof-no-such-name.so.1'])).toBe('none');
});

test.each(['libdeflate', 'isal'] as const)('the records of %s name its build', async (engine) => {
  const opened = await openEngine({ engine });
  expect(opened.version).toMatch(/^lib\w+ \d \(sha256 [0-9a-f]{12}\)$/);
  opened.close();
});
