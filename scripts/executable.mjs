import { chmodSync } from 'node:fs';

// npm sets the mode of `bin` files only in packages it installs, not in a clone.
chmodSync(new URL('../dist/src/cli/main.js', import.meta.url), 0o755);
