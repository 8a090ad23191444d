/** What the codes of the operating system mean for a folder that is to be written to. */
export const fileTroubles: Readonly<Record<string, string>> = {
  EEXIST: 'a file has this name',
  ENOENT: 'this place can hold no folders',
  ENOTDIR: 'a part of the path is a file',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
};
