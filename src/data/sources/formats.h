// One function per format on disk; what it registers is documented where it is defined.
#pragma once

#include "mugato/data/sources.h"

namespace mugato::data {

// A name that stays known where mugato was built without the library it needs.
void add_missing(SourceRegistry& registry, const std::string& name, const std::string& library, const std::string& package);

void add_minari(SourceRegistry& registry);
void add_webdataset(SourceRegistry& registry);
void add_images(SourceRegistry& registry);
void add_vqa(SourceRegistry& registry);
void add_text(SourceRegistry& registry);
void add_tokens(SourceRegistry& registry);
void add_jat(SourceRegistry& registry);
void add_lerobot(SourceRegistry& registry);

}  // namespace mugato::data
