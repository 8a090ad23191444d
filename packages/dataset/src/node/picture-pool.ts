import { availableParallelism } from 'node:os';

import { Tinypool } from 'tinypool';

import { DatasetError } from '../errors.ts';
import { pictureWorkerScript } from './picture-worker-script.ts';
import type { PictureTask, PreparedPictures, UnusablePicture } from './prepare-pictures.ts';

/** Worker threads that decode and resize pictures. They start with the first task and do not keep the process alive. */
export interface PicturePool {
  readonly threads: number;
  /** @throws {DatasetError} `DECODER_FAILED` where a thread fails, not where a picture is at fault */
  run(task: PictureTask): Promise<PreparedPictures | UnusablePicture>;
  /** Waits for the tasks under way and ends the threads. */
  close(): Promise<void>;
}

/** @param threads default one a core */
export function createPicturePool(threads: number = availableParallelism()): PicturePool {
  let pool: Tinypool | undefined;
  const running = new Set<Promise<unknown>>();
  const start = () =>
    new Tinypool({ filename: pictureWorkerScript(), minThreads: threads, maxThreads: threads, execArgv: [] });

  async function run(task: PictureTask): Promise<PreparedPictures | UnusablePicture> {
    try {
      pool ??= start();
      const result = pool.run(task);
      running.add(result);
      return (await result.finally(() => running.delete(result))) as PreparedPictures | UnusablePicture;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const what = `The thread that decodes ${task.targets[0]} failed: ${reason}.`;
      const remedy = 'Try again; with less memory in use, or with fewer workers, if it ran out of memory.';
      throw new DatasetError('DECODER_FAILED', what, remedy, { cause });
    }
  }

  async function close(): Promise<void> {
    await Promise.allSettled(running);
    await pool?.destroy();
    pool = undefined;
  }

  return { threads, run, close };
}
