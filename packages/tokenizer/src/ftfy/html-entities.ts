import { decodeHTML, decodeHTMLStrict } from 'entities';

/**
 * Character references as Python's `html.unescape` decodes them: with or without a semicolon, the longest name that
 * is one.
 *
 * Those by number that HTML forbids vanish (control characters, noncharacters) or become U+FFFD (surrogates, too
 * large).
 */
export function unescapeHtml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu, (reference) =>
    reference[1] === '#' ? fromNumber(reference) : decodeHTML(reference),
  );
}

/**
 * Only references that end in a semicolon and are a name or a number as a whole, and names in capitals where no name
 * is meant by them: `P&EACUTE;REZ`.
 */
export function unescapeClearHtml(text: string): string {
  return text.replace(/&#?[0-9A-Za-z]{1,24};/g, (reference) => {
    if (reference[1] === '#') {
      const decoded = unescapeHtml(reference);
      return decoded.includes(';') ? reference : decoded;
    }
    const decoded = decodeHTMLStrict(reference);
    return decoded === reference ? fromCapitals(reference) : decoded;
  });
}

function fromCapitals(reference: string): string {
  const name = reference.toLowerCase();
  if (reference !== reference.toUpperCase() || unescapeHtml(reference) !== reference) return reference;
  const decoded = decodeHTMLStrict(name);
  return decoded === name ? reference : decoded.toUpperCase();
}

function fromNumber(reference: string): string {
  const digits = reference.replace(/^&#|;$/g, '');
  const code = /^[xX]/.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number.parseInt(digits, 10);
  const replaced = replacedCodes.get(code);
  if (replaced !== undefined) return replaced;
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd';
  return isForbidden(code) ? '' : String.fromCodePoint(code);
}

/** Numbers that stand for another character: those of Windows-1252 between 80 and 9F, where it has one. */
const replacedCodes = new Map([
  [0, '\ufffd'],
  [0x0d, '\r'],
  ...[...'€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'].map(
    (character, i) => [0x80 + i, character] as const,
  ),
]);

function isForbidden(code: number): boolean {
  const isControl = (code >= 1 && code <= 8) || code === 0x0b || (code >= 0x0e && code <= 0x1f);
  const isDelete = code >= 0x7f && code <= 0x9f;
  const isNoncharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
  return isControl || isDelete || isNoncharacter;
}
