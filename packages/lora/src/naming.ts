/** The name of a module in an adapter file: `blocks.0.ffn.2` → `lora_unet_blocks_0_ffn_2`. */
export function loraName(path: string): string {
  return `lora_unet_${path.replaceAll('.', '_')}`;
}
