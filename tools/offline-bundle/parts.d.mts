export function writeParts(
  source: string,
  out: string,
  options: { readonly partBytes: number },
): Promise<{
  readonly parts: readonly { readonly name: string; readonly sha256: string }[];
  readonly bytes: number;
  readonly unpackedBytes: number;
}>;
