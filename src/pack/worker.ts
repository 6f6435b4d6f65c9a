import { parentPort } from 'node:worker_threads';
import { serve } from './worker-loop.ts';

if (parentPort !== null) serve(parentPort);
