/**
 * Models that the original has scripts for; the scripts of each have its name in theirs, but for those of HunyuanVideo that
 * make caches. HunyuanVideo 1.5 is known by name alone.
 */
export const architectures = ['wan', 'hv', 'hv_1_5', 'fpack', 'flux_kontext', 'qwen_image'] as const;

export type ArchitectureName = (typeof architectures)[number];
