import { fixEncoding } from './fix-encoding.ts';
import { unescapeClearHtml } from './html-entities.ts';
import { c1ToWindows1252 } from './single-byte.ts';

/**
 * Broken Unicode put right, line by line, as `ftfy.fix_text` of ftfy 6.3.1 (Robyn Speer, Apache License 2.0) does
 * with its default configuration: mojibake, character references, ligatures, full-width forms, curly quotes, line
 * breaks, control characters; the result is in normalization form C.
 */
export function fixText(text: string): string {
  let fixed = '';
  let unescapes = true;
  for (const segment of segmentsOf(text)) {
    // A "<" says that the text is HTML, in which references are meant: from there on they stay.
    unescapes &&= !segment.includes('<');
    fixed += fixSegment(segment, unescapes);
  }
  return fixed;
}

/** Lines with their line break, in parts of at most a million characters: larger ones are not judged as a whole. */
function* segmentsOf(text: string): Iterable<string> {
  for (const [line] of text.matchAll(/[^\n]*\n|[^\n]+/g)) {
    if (line.length <= maxSegment) yield line;
    else {
      const characters = [...line];
      for (let i = 0; i < characters.length; i += maxSegment) yield characters.slice(i, i + maxSegment).join('');
    }
  }
}

const maxSegment = 1_000_000;

function fixSegment(text: string, unescapes: boolean): string {
  for (;;) {
    let fixed = unescapes ? unescapeClearHtml(text) : text;
    fixed = fixEncoding(fixed);
    for (const fix of fixes) fixed = fix(fixed);
    if (fixed === text) return text;
    text = fixed;
  }
}

const fixes: readonly ((text: string) => string)[] = [
  c1ToWindows1252,
  fixLatinLigatures,
  fixCharacterWidth,
  uncurlQuotes,
  fixLineBreaks,
  fixSurrogates,
  removeTerminalEscapes,
  removeControlCharacters,
  (text) => text.normalize('NFC'),
];

/**
 * Ligatures of Latin letters and digraphs that older encodings had as one character; not those that are letters, such
 * as æ.
 */
const ligatures: Readonly<Record<string, string>> = {
  Ĳ: 'IJ',
  ĳ: 'ij',
  ŉ: 'ʼn',
  Ǳ: 'DZ',
  ǲ: 'Dz',
  ǳ: 'dz',
  Ǆ: 'DŽ',
  ǅ: 'Dž',
  ǆ: 'dž',
  Ǉ: 'LJ',
  ǈ: 'Lj',
  ǉ: 'lj',
  Ǌ: 'NJ',
  ǋ: 'Nj',
  ǌ: 'nj',
  ﬀ: 'ff',
  ﬁ: 'fi',
  ﬂ: 'fl',
  ﬃ: 'ffi',
  ﬄ: 'ffl',
  ﬅ: 'ſt',
  ﬆ: 'st',
};

function fixLatinLigatures(text: string): string {
  return text.replace(/[ĲĳŉǄ-ǌǱ-ǳﬀ-ﬆ]/g, (ligature) => ligatures[ligature]!);
}

function fixCharacterWidth(text: string): string {
  return text.replace(/[\u3000\uff01-\uffef]/g, (character) => character.normalize('NFKC'));
}

function uncurlQuotes(text: string): string {
  return text.replace(/[\u201c-\u201f]/g, '"').replace(/[\u02bc\u2018-\u201b]/g, "'");
}

function fixLineBreaks(text: string): string {
  return text.replace(/\r\n|[\r\u2028\u2029\u0085]/g, '\n');
}

function fixSurrogates(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

function removeTerminalEscapes(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/\u001b\[[\p{Nd};]*[a-zA-Z]/gu, '');
}

/** Characters that show nothing and mean nothing in text; joiners, marks of direction and tags stay. */
function removeControlCharacters(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\0-\u0008\u000b\u000e-\u001f\u007f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, '');
}
