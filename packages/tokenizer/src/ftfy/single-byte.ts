import { codePages, type CodePage } from './code-pages.ts';

/** Bytes as a string of characters 0 to 255, so that regular expressions work on them. */
export type ByteString = string;

/** A text's bytes in a code page; null when the page lacks one of its characters. */
export function encodeText(text: string, page: CodePage): ByteString | null {
  const { bytes, characters } = tablesOf(page);
  if (!characters.test(text)) return null;
  let encoded = '';
  for (const character of text) encoded += bytes.get(character) ?? character;
  return encoded;
}

/** What a C1 control character is in Windows-1252, as in browsers. */
export function c1ToWindows1252(text: string): string {
  const { upper } = pageNamed('windows-1252');
  return text.replace(/[\u0080-\u009f]/g, (character) => upper[character.charCodeAt(0) - 0x80]!);
}

/** Latin-1 text read as Windows-1252; null where that has no character. */
export function latin1AsWindows1252(text: string): string | null {
  return /[\u0081\u008d\u008f\u0090\u009d]/.test(text) ? null : c1ToWindows1252(text);
}

interface PageTables {
  readonly bytes: ReadonlyMap<string, string>;
  readonly characters: RegExp;
}

const tables = new Map<string, PageTables>();

function tablesOf(page: CodePage): PageTables {
  const known = tables.get(page.name);
  if (known !== undefined) return known;
  const bytes = new Map([...page.upper].map((character, i) => [character, String.fromCharCode(0x80 + i)]));
  if (page.isSloppy) bytes.set('\ufffd', '\u001a');
  const substitute = page.isSloppy ? '\ufffd' : '\u001a';
  const made = { bytes, characters: new RegExp(`^[\\0-\\u0019\\u001b-\\u007f${page.upper}${substitute}]*$`, 'u') };
  tables.set(page.name, made);
  return made;
}

function pageNamed(name: string): CodePage {
  return codePages.find((page) => page.name === name)!;
}
