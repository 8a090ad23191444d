import { isBad } from './badness.ts';
import { utf8Clues as clues } from './character-kinds.ts';
import { codePages, type CodePage } from './code-pages.ts';
import { decodeUtf8 } from './decode-utf8.ts';
import { c1ToWindows1252, encodeText, latin1AsWindows1252, type ByteString } from './single-byte.ts';

/**
 * Text that was UTF-8 but was decoded with a single-byte encoding, put right; other text unchanged. The steps and
 * their order are those of ftfy 6.3.1 (Robyn Speer, Apache License 2.0) with its default configuration.
 */
export function fixEncoding(text: string): string {
  for (;;) {
    const fixed = fixOnce(text);
    if (fixed === text) return text;
    text = fixed;
  }
}

function fixOnce(text: string): string {
  if (isAscii(text) || !isBad(text)) return text;
  return fixWholly(text) ?? fixParts(text) ?? fixControls(text);
}

/** The first encoding whose bytes of the whole text are UTF-8. */
function fixWholly(text: string): string | null {
  for (const page of codePages) {
    const bytes = encodeText(text, page);
    const decoded = bytes === null ? null : decodeUtf8(repairBytes(bytes, page));
    if (decoded !== null) return decoded;
  }
  return null;
}

function repairBytes(bytes: ByteString, page: CodePage): ByteString {
  // In Mac Roman byte D0 followed by a space is an en dash in ordinary text.
  if (page.name !== 'macroman' && utf8WithSpaces.test(bytes)) bytes = restoreByteA0(bytes);
  return page.isSloppy ? bytes.replace(lossyUtf8, replacementBytes) : bytes;
}

/** Sequences that are UTF-8 once a space is byte A0 again. Bytes whose characters would be unlikely are left out. */
const utf8WithSpaces = new RegExp(
  [
    '[\\xc2\\xc3\\xc5\\xce\\xd0\\xd9][ ]',
    '[\\xe2\\xe3][ ][\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf]',
    '[\\xe0-\\xe3][\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf][ ]',
    '\\xf0[ ][\\x80-\\xbf][\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf][ ][\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf][\\x80-\\xbf][ ]',
  ].join('|'),
);
const allUtf8WithSpaces = new RegExp(utf8WithSpaces, 'g');

function restoreByteA0(bytes: ByteString): ByteString {
  // "à" is a word of its own unless what follows makes a Portuguese word of it: then its space stays.
  const words = bytes.replace(/\xc3 (?! |quele|quela|quilo|s )/g, '\xc3\xa0 ');
  return words.replace(allUtf8WithSpaces, (sequence) => sequence.replaceAll(' ', '\xa0'));
}

/** Sequences of UTF-8 in which byte 1A or, once, a question mark stands for a byte that was lost. */
const lossyUtf8 = new RegExp(
  [
    '[\\xc2-\\xdf]\\x1a',
    '[\\xc2-\\xc3][?]',
    '\\xed[\\xa0-\\xaf][\\x1a?]\\xed[\\xb0-\\xbf][\\x1a?\\x80-\\xbf]',
    '\\xed[\\xa0-\\xaf][\\x1a?\\x80-\\xbf]\\xed[\\xb0-\\xbf][\\x1a?]',
    '[\\xe0-\\xef][\\x1a?][\\x1a\\x80-\\xbf]',
    '[\\xe0-\\xef][\\x1a\\x80-\\xbf][\\x1a?]',
    '[\\xf0-\\xf4][\\x1a?][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf]',
    '[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a?][\\x1a\\x80-\\xbf]',
    '[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf][\\x1a?]',
    '\\x1a',
  ].join('|'),
  'g',
);
const replacementBytes = '\xef\xbf\xbd'; // U+FFFD

/** What looks like UTF-8 in a text that has no encoding as a whole, each part by itself. */
function fixParts(text: string): string | null {
  const fixed = text.replace(embeddedUtf8, (part) =>
    part.length < text.length && isBad(part) ? fixEncoding(part) : part,
  );
  return fixed === text ? null : fixed;
}

const embeddedUtf8 = new RegExp(
  `(?<![${clues.continuationStrict}])(?:[${clues.firstOf2}][${clues.continuation}]` +
    `|[${clues.firstOf3}][${clues.continuation}]{2}|[${clues.firstOf4}][${clues.continuation}]{3})+`,
  'gu',
);

/** C1 control characters are characters of Windows-1252 that were read as Latin-1. */
function fixControls(text: string): string {
  const fixed = /^[\0-\u00ff]*$/.test(text) ? latin1AsWindows1252(text) : null;
  return fixed !== null && fixed !== text ? fixed : c1ToWindows1252(text);
}

function isAscii(text: string): boolean {
  return /^[\0-\u007f]*$/.test(text);
}
