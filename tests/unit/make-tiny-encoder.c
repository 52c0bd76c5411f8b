/* make-tiny-encoder FILE: a BERT for tests of whatever lies above the engine. */
#include "tiny-encoder.h"

int main(int argc, char **argv) {
    GgufBuilder b;
    if (argc != 2)
        return 64;
    tiny_encoder_build(&b, &(TinyEncoderOptions){.pooling = 2});
    builder_write(&b, argv[1]);
    return 0;
}
