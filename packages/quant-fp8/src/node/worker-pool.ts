import { Worker } from 'node:worker_threads';
import { Fp8Error } from '../errors.ts';
import type { Measured } from '../internal/work.ts';
import type { Reply, Task, WorkerStart } from './protocol.ts';
import { workerScript } from './worker-script.ts';

export interface PoolOptions {
  readonly workers: number;
  readonly signal?: AbortSignal | undefined;
}

/** A task that may have to be made first, and what is told of its end. */
export interface Job {
  readonly task: Task | (() => Promise<Task>);
  readonly done: (measured: Measured | null) => void;
}

/**
 * Does all jobs in worker threads, each in order of the list as soon as a thread is free. At most as many are made ahead as
 * there are threads. The first failure ends the rest.
 *
 * @throws {Fp8Error} what a task throws; the reason of `signal`
 */
export async function runJobs(jobs: readonly Job[], start: WorkerStart, options: PoolOptions): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  const count = Math.min(options.workers, jobs.length);
  const script = count === 0 ? undefined : workerScript();
  const threads = Array.from({ length: count }, () => startThread(script!, start));
  const open = jobs.toReversed();
  const serveOne = async (thread: Thread): Promise<void> => {
    for (let job = open.pop(); job; job = open.pop()) {
      job.done(await thread.ask(typeof job.task === 'function' ? await job.task() : job.task));
    }
    await thread.end();
  };
  const aborted = abortion(signal);
  try {
    await Promise.race([Promise.all(threads.map(serveOne)), aborted.promise]);
  } finally {
    open.length = 0;
    aborted.stop();
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

interface Thread {
  ask(task: Task): Promise<Measured | null>;
  /** Lets the thread close its files: on Windows a file that is open cannot be renamed. */
  end(): Promise<unknown>;
  terminate(): Promise<unknown>;
}

function startThread(script: URL, start: WorkerStart): Thread {
  const worker = new Worker(script, { workerData: start, execArgv: [] });
  const failed = new Promise<never>((_, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => reject(gone()));
  });
  failed.catch(() => {}); // told to whoever waits for an answer
  const send = (task: Task | 'end', buffers: ArrayBuffer[]): Promise<Reply> => {
    const answered = new Promise<Reply>((resolve) => worker.once('message', resolve));
    worker.postMessage(task, buffers);
    return Promise.race([answered, failed]);
  };
  return {
    async ask(task) {
      const reply = await send(task, ownedBuffers(task));
      if ('measured' in reply) return reply.measured;
      const { code, problem, remedy, ...facts } = reply.failed;
      throw new Fp8Error(code, problem, remedy, facts);
    },
    end: () => send('end', []),
    terminate: () => worker.terminate(),
  };
}

/** Bytes that a hook has seen move to the thread. */
function ownedBuffers(task: Task): ArrayBuffer[] {
  const from = task.kind === 'dequantize' ? task.codes : task.from;
  return 'data' in from && from.data.buffer instanceof ArrayBuffer ? [from.data.buffer] : [];
}

function abortion(signal: AbortSignal | undefined): { promise: Promise<never>; stop: () => void } {
  const stopping = new AbortController();
  const promise = new Promise<never>((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true, signal: stopping.signal });
  });
  return { promise, stop: () => stopping.abort() };
}

function gone(): Fp8Error {
  const remedy = 'Is there enough memory? Else please report it.';
  return new Fp8Error('INTERNAL', 'internal: a worker thread ended in the middle of its work.', remedy);
}
