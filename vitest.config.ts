import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Two cores, and the machine ring boots guests: more files at once only makes guests slower.
    maxWorkers: 2,
    // The limits end what hangs; no test passes or fails by the speed of the machine.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    reporters: ['default', './scripts/closing-line.mjs'],
    restoreMocks: true,
    unstubEnvs: true,
  },
});
