import { resolve } from 'node:path';

import { withFile as withNamedFile } from '../with-file.ts';

/** Says which option gave the file that an error is about. */
export const withFile = <T>(option: string, path: string, open: () => Promise<T>): Promise<T> =>
  withNamedFile(option, path, open, resolve);
