export interface SamplePicture {
  readonly file: string;
  readonly caption: string;
}

export function writeQuickstart(
  folder: string,
  load?: (name: string, entry?: string) => Promise<unknown>,
): Promise<readonly SamplePicture[]>;
