export function pictureDifference(first: string, second: string): Promise<number>;
