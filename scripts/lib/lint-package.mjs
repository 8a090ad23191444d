// What is wrong with a packed package, before anybody installs it.
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

/** Ways of resolving that packages of modules alone do not support, as in attw's profile `esm-only`. */
const otherResolutions = ['node10', 'node16-cjs'];

/**
 * Findings of publint, warnings and suggestions included, and of "are the types wrong?".
 *
 * @param {{ manifest: object }} pack
 * @param {Uint8Array} tarball
 * @returns {Promise<string[]>}
 */
export async function lintPackage({ manifest }, tarball) {
  const buffer = tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true });
  const types = await checkPackage(createPackageFromTarballData(tarball));
  const wrong = types.types === false ? [{ kind: 'NoTypes' }] : types.problems;
  return [
    ...messages.map((message) => `publint: ${formatMessage(message, pkg ?? manifest, { color: false })}`),
    ...wrong
      .filter(({ resolutionKind }) => !otherResolutions.includes(resolutionKind))
      .map(({ kind, entrypoint = '.', resolutionKind = 'any resolution' }) => {
        return `types: ${kind} at ${entrypoint} by ${resolutionKind}`;
      }),
  ];
}
