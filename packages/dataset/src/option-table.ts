/** A value of a dataset option once read; Python's `True` counts as an integer, so integers may be booleans. */
export type OptionValue = string | number | boolean | null | readonly (number | boolean)[];

export type OptionKind = 'integer' | 'float' | 'boolean' | 'string' | 'integers' | 'size';

/** Where an option may stand: `[general]`, an image dataset's table, a video dataset's table. */
export type OptionPlace = 'general' | 'image' | 'video';

export interface DatasetOption {
  readonly name: string;
  readonly kind: OptionKind;
  readonly default: OptionValue;
  readonly places: readonly OptionPlace[];
  readonly help: string;
}

const everywhere = ['general', 'image', 'video'] as const;
const datasets = ['image', 'video'] as const;
const image = ['image'] as const;
const video = ['video'] as const;

/** Every option of a dataset configuration: type, default and where it is allowed. */
export const datasetOptions: readonly DatasetOption[] = [
  option('resolution', 'size', [960, 544], everywhere, 'width and height in pixels; one number means a square'),
  option('caption_extension', 'string', null, everywhere, 'extension of caption files, with its dot'),
  option('batch_size', 'integer', 1, everywhere, 'items the model sees at once'),
  option('num_repeats', 'integer', 1, everywhere, 'times an item is entered into an epoch'),
  option('enable_bucket', 'boolean', false, everywhere, 'group items by aspect ratio'),
  option('bucket_no_upscale', 'boolean', false, everywhere, 'images below the area of resolution keep their size'),
  option('cache_directory', 'string', null, datasets, 'folder of cache files, by default the image or video folder'),
  option('image_directory', 'string', null, image, 'folder of images'),
  option('image_jsonl_file', 'string', null, image, 'list of images, one JSON object a line'),
  option('video_directory', 'string', null, video, 'folder of videos'),
  option('video_jsonl_file', 'string', null, video, 'list of videos, one JSON object a line'),
  option('control_directory', 'string', null, datasets, 'folder of control images or videos'),
  option('multiple_target', 'boolean', false, image, 'several target images an item (NAME_1, NAME_2 …)'),
  option('no_resize_control', 'boolean', false, image, 'control images keep their size'),
  option('control_resolution', 'size', null, image, 'size of control images'),
  option('target_frames', 'integers', [1], video, 'lengths of crops in frames, 4n + 1'),
  option('frame_extraction', 'string', 'head', video, 'head, chunk, slide, uniform or full'),
  option('frame_stride', 'integer', 1, video, 'frames between crops of slide'),
  option('frame_sample', 'integer', 1, video, 'number of crops of uniform'),
  option('max_frames', 'integer', 129, video, 'longest crop of full'),
  option('source_fps', 'float', null, video, 'frame rate of the source, e.g. 30.0'),
  option('fp_latent_window_size', 'integer', 9, datasets, 'latent frames of a FramePack section'),
  option('fp_1f_clean_indices', 'integers', null, image, 'positions of control images, one-frame training'),
  option('fp_1f_target_index', 'integer', null, image, 'position of the target image, one-frame training'),
  option('fp_1f_no_post', 'boolean', false, image, 'no empty frame after the control images'),
];

/** Names older configurations use, with today's name. */
export const renamedOptions: ReadonlyMap<string, string> = new Map([
  ['flux_kontext_no_resize_control', 'no_resize_control'],
  ['qwen_image_edit_no_resize_control', 'no_resize_control'],
  ['qwen_image_edit_control_resolution', 'control_resolution'],
]);

/** Options allowed in one place, by name. */
export function optionsOf(place: OptionPlace): ReadonlyMap<string, DatasetOption> {
  return new Map(datasetOptions.filter((row) => row.places.includes(place)).map((row) => [row.name, row]));
}

function option(
  name: string,
  kind: OptionKind,
  value: OptionValue,
  places: readonly OptionPlace[],
  help: string,
): DatasetOption {
  return { name, kind, default: value, places, help };
}
