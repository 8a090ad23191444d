import { kTransferable, kValue, markMovable } from 'tinypool';

import { preparePictures, type PictureTask } from './node/prepare-pictures.ts';

/** What a worker thread does with a task: the pixels of the result move to the caller. */
export default async function run(task: PictureTask): Promise<object> {
  const result = await preparePictures(task);
  const pixels = 'targets' in result ? [...result.targets, ...result.controls] : [];
  const movable = { [kTransferable]: pixels.map(({ data }) => data.buffer), [kValue]: result };
  markMovable(movable);
  return movable;
}
