/** A program of its own, run in a Worker: answers requests with an engine. */
import { openEngine } from './engine.js';
import { answerWith } from './engine-answer.js';
import type { Request } from './protocol.js';
import { serveRequests } from './serve.js';

const engine = openEngine(new URL('./ort-wasm-simd-threaded.wasm', import.meta.url).href);

serveRequests<Request>((request) => answerWith(engine, request));
