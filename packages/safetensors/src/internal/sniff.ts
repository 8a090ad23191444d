interface Signature {
  readonly bytes: readonly number[];
  readonly looksLike: string;
  readonly remedy: string;
}

const PICKLE_REMEDY = 'Use the .safetensors file of this model, or convert this one with the tool that made it.';

const text = (letters: string) => Array.from(letters, (letter) => letter.charCodeAt(0));

/** What people hand over instead of a safetensors file. */
const SIGNATURES: readonly Signature[] = [
  {
    bytes: [0x50, 0x4b, 0x03, 0x04],
    looksLike: 'a zip archive, which is what PyTorch checkpoints (.pth, .pt, .ckpt, .bin) are',
    remedy: 'Use the .safetensors file of this model, or open it with openPth of @musubi/safetensors/pth.',
  },
  ...[2, 3, 4, 5].map((protocol) => ({
    bytes: [0x80, protocol],
    looksLike: 'a Python pickle, an old PyTorch checkpoint (.pth, .pt, .ckpt, .bin)',
    remedy: PICKLE_REMEDY,
  })),
  { bytes: text('GGUF'), looksLike: 'a GGUF file', remedy: 'Use the .safetensors file of this model.' },
  {
    bytes: text('version https://git-lfs'),
    looksLike: 'a Git LFS pointer, not the file itself',
    remedy: 'Run "git lfs pull" in its folder, or download the file again.',
  },
  ...['<!DOCTYPE', '<!doctype', '<html', '<?xml', '<HTML'].map((start) => ({
    bytes: text(start),
    looksLike: 'a web page, perhaps an error or a login page saved by a download',
    remedy: 'Download the file again.',
  })),
  { bytes: text('\x89HDF'), looksLike: 'an HDF5 file', remedy: 'Use the .safetensors file of this model.' },
  { bytes: text('\x93NUMPY'), looksLike: 'a NumPy file', remedy: 'Store it as safetensors.' },
  { bytes: text('\x89PNG'), looksLike: 'a PNG picture', remedy: 'Give the .safetensors file.' },
  { bytes: [0x1f, 0x8b], looksLike: 'a gzip archive', remedy: 'Unpack it first.' },
  { bytes: text('7z\xbc\xaf'), looksLike: 'a 7z archive', remedy: 'Unpack it first.' },
  { bytes: text('Rar!'), looksLike: 'a RAR archive', remedy: 'Unpack it first.' },
  {
    bytes: text('{'),
    looksLike: 'JSON text',
    remedy: 'A list of shards is recognised by its name: it has to end in ".safetensors.index.json".',
  },
];

/** What a file that is not safetensors seems to be, by its first bytes; null when they tell nothing. */
export function sniff(start: Uint8Array): { looksLike: string; remedy: string } | null {
  return (
    SIGNATURES.find(({ bytes }) => bytes.length <= start.length && bytes.every((byte, i) => start[i] === byte)) ?? null
  );
}
