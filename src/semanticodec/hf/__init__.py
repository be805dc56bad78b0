"""The codec as classes of `transformers`: configuration, feature extractor and model.

    import semanticodec.hf  # registers them
    model = AutoModelForAudioTokenization.from_pretrained(folder)
    extract = AutoFeatureExtractor.from_pretrained(folder)

Saved models carry the modules of this folder as remote code (`trust_remote_code=True`), so these
import each other relatively, and of the rest only what is above them: `codec` and `checkpoints`.
"""

from semanticodec.errors import MissingDependencyError

try:
    from transformers import (
        AutoConfig,
        AutoFeatureExtractor,
        AutoModel,
        AutoModelForAudioTokenization,
    )
except ImportError as error:
    raise MissingDependencyError(
        "semanticodec.hf needs transformers 5.20 or newer; install it with "
        "pip install 'semanticodec[hf]'"
    ) from error

from semanticodec.hf.configuration_semanticodec import SemantiCodecConfig
from semanticodec.hf.feature_extraction_semanticodec import SemantiCodecFeatureExtractor
from semanticodec.hf.modeling_semanticodec import SemantiCodecModel

__all__ = ["SemantiCodecConfig", "SemantiCodecFeatureExtractor", "SemantiCodecModel"]

AutoConfig.register(SemantiCodecConfig.model_type, SemantiCodecConfig)
AutoFeatureExtractor.register(SemantiCodecConfig, SemantiCodecFeatureExtractor)
for auto in (AutoModel, AutoModelForAudioTokenization):
    auto.register(SemantiCodecConfig, SemantiCodecModel)

# Which makes saved models carry their code.
SemantiCodecConfig.register_for_auto_class()
SemantiCodecFeatureExtractor.register_for_auto_class()
SemantiCodecModel.register_for_auto_class("AutoModel")
