/** A fenced block. */
export interface GuideBlock {
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

export const guides: readonly string[];
export function readGuide(file: string): string;
export function readBlocks(file: string): readonly GuideBlock[];
export function fileNameOf(block: GuideBlock): string | null;
export function commandsOf(block: GuideBlock): readonly string[];
export function pictureCommands(file: string): readonly { readonly command: string; readonly picture: string }[];
